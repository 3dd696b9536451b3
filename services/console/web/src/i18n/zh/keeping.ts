export const keeping = {
  assessment: {
    title: '考核评估', lead: '由日志中的事实计算，任何人可以复核。部门可见本部门与全域数据。', month: '月度', quarter: '季度', year: '年度', period: '统计期',
    bulletin: '打开通报', total: '全域', ranking: '部门排名', none: '本期尚无数据。', department: '部门', score: '得分', rank: '排名',
    rates: {
      on_demand: '按需共享率', minute_level: '分钟级满足率', timeliness: '及时送达率', answers: '按时答复率', quality: '数据质量', use: '资源使用率', satisfaction: '满意度',
    },
    provided: '提供记录', received: '接收记录', objections: '异议', feedback: '评价', weights: '权重', weightsNote: '得分按下列权重计算（百分制），由数据主管部门设定。',
    plotLabel: '各部门得分排名', profile: '指标', profileLabel: '全域各项指标的完成比例', part: (part: string, whole: string) => `${part} / ${whole}`, previous: '上一期', change: '较上期',
  },
  admin: {
    title: '系统管理', lead: '部门、信息系统、账号与令牌、工作日历和办理时限。',
    areas: { departments: '部门', systems: '信息系统', accounts: '账号', tokens: '令牌', calendar: '日历与时限' },
    saved: '已保存', name: '名称', nameEn: '英文名称', slug: '标识', uscc: '统一社会信用代码', division: '行政区划', responsible: '责任人', handler: '经办人', people: '任职',
    since: '自', until: '至', post: '职务', phone: '电话', addDepartment: '登记部门', appoint: '任命', role: '角色', current: '现任', history: '任职记录',
    system: '信息系统', department: '部门', database: '数据库', address: '地址', protection: '等保级别', addSystem: '登记信息系统', code: '编码', host: '主机', port: '端口', username: '用户名', password: '密码', description: '说明',
    login: '账号', roles: '角色', state: '状态', last: '最近登录', never: '从未登录', addAccount: '开通账号', locked: '已锁定', disabled: '已停用', mustChange: '待修改初始密码', active: '正常',
    resetPassword: '重置密码', unlock: '解锁', disable: '停用', enable: '启用', oneTime: '初始密码（只显示一次）', oneTimeNote: '请通过可靠途径告知本人；首次登录必须修改。', external: '统一认证', sureReset: '原密码与全部登录会话立即失效，确定重置？',
    token: '令牌', addToken: '创建令牌', expires: '有效期至', revoked: '已停用', createdBy: '创建人', created: '创建时间', revoke: '停用', sureRevoke: '使用该令牌的程序将立即被拒绝，确定停用？', tokenNote: '令牌供程序调用接口使用，只显示一次。', forEver: '长期',
    calendar: '本地工作日调整', calendarNote: '国家节假日安排已内置；此处只记录本地的调整。修改后，未办结的时限立即重新计算。', day: '日期', working: '工作日', resting: '休息日', dayName: '说明', addDay: '设置某一天',
    clocks: '办理时限', clocksNote: '修改只影响此后开始的环节。', clock: '环节', days: '工作日', warned: '提前提醒（工作日）', urged: '督办间隔（工作日）', source: '依据', catalogueClocks: '目录时限',
    search: '检索', departmentNone: '（数据主管部门）', readOnly: '仅数据主管部门可以修改。',
  },
}
