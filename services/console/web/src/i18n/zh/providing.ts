export const providing = {
  own: {
    title: '本部门资源', lead: '本部门编目的全部资源，包括草稿与审核中的；在这里新建、修订、送审和挂接。', leadAll: '各部门编目的全部资源，包括草稿与审核中的。',
    new: '新建资源', none: '还没有资源', noneMore: '新建一个资源，送审发布后即可挂接数据、供其他部门申请。', resource: '资源', state: '状态', version: '版本', mount: '挂接',
    department: '部门', due: '期限', updated: '更新时间', notMounted: '未挂接', halted: '已暂停', edit: '编辑', doMount: '挂接',
  },
  steps: {
    submit: '提交审核', recall: '撤回送审', return: '退回修改', approve: '通过并发布', revise: '修订', discard: '放弃修改', withdraw: '撤销发布', reopen: '重新编制',
    regrade: '调整分级',
  },
  step: {
    more: '更多操作', review: '去审核', edit: '编辑', mount: '挂接数据', unmount: '解除挂接', done: '已办理', reason: '理由', needReason: '请一次性完整说明理由', confirm: '确定',
    sure: {
      recall: '撤回后可以继续修改，审核时限停止计算。', discard: '草稿将被丢弃；已发布的版本不受影响。', withdraw: '撤销后资源不再出现在目录中，全部授权与交付随之停止。',
      reopen: '将以最近发布的内容为草稿重新编制。', unmount: '解除后数据不再流动，来源库中为此建立的复制槽随之清理。', revise: '修订期间，已发布的版本继续有效。',
    },
  },
  editor: {
    new: '新建数据资源', edit: (title: string) => `编辑：${title}`, lead: '先存草稿，随时可以接着写；送审前会列出全部需要完善的内容。',
    basics: '基本信息', sharing: '共享与开放', items: '信息项', rules: '质量规则', level: '服务承诺', optional: '（可选）',
    title: '资源名称', titleHint: '例如：人口基本信息', code: '资源标识', codeHint: '小写字母、数字和下划线；建立后不可修改', department: '提供部门', abstract: '摘要',
    abstractHint: '有哪些数据、来自哪个系统、用于什么', category: '资源分类', keywords: '关键词', keywordsHint: '输入后回车', format: '资源格式', formatDetail: '格式说明',
    related: '关联资源', data_class: '数据分类', provision_channel: '提供渠道', service_item: '对应事项', serviceHint: '先在“清单导入”中导入事项清单',
    sharing_type: '共享类型', sharing_conditions: '共享条件', conditionsHint: '写明谁、为什么事、可以用到什么程度', legal_basis: '法律依据',
    basisHint: '不予共享须写明依据的法律、行政法规或国务院规定', grade: '数据分级', grade_level: '子级', update_cycle: '更新周期', sharing_channels: '共享方式', openness: '向社会开放',
    opennessOpen: '可以向社会开放', opennessConditions: '开放条件', scenario: '应用场景', delay: '最大时延（秒）', availability: '可用性（%）', retention: '保留天数',
    notHere: '核心数据与涉密数据不得编入本目录。', save: '保存草稿', submit: '核对并送审', saved: '草稿已保存', unsaved: '有未保存的修改', allSaved: '已全部保存', written: (when: string) => `上次保存：${when}`,
    todo: (count: string) => `发布前还需完善 ${count} 处`, todoNote: '点击可直接定位到对应栏目。', ready: '内容完整，可以送审。', row: (number: string, title: string) => `第 ${number} 项${title}`,
    rule: (number: string, id: string) => `规则 ${number} ${id}`,
    leave: '离开而不保存？', leaveMore: '刚才的修改还没有保存，离开后将会丢失。', stay: '留在此页', go: '不保存，离开',
    conflict: '这份草稿已被他人修改', conflictMore: (fields: string) => `您打开之后，有人保存了另一份内容。与您的不同之处：${fields || '无'}。请选择保留哪一份。`, takeTheirs: '改用对方的内容', keepMine: '用我的内容覆盖',
    begin: '要修改已发布的内容，先开始修订。修订期间，已发布的版本继续有效。', waits: '正在审核，暂不能编辑；如需修改，请先撤回送审。', gone: '该资源已撤销；重新编制后才能编辑。', notYours: '只能编制本部门的资源。',
    returned: '审核退回', returnedBy: (who: string) => `由 ${who} 退回`,
    formats: { file: '电子文件', spreadsheet: '电子表格', database: '数据库', image: '图形图像', stream: '流媒体', self_describing: '自描述格式' },
  },
  table: {
    number: '序', title: '名称', name: '标识', type: '类型', length: '长度', scale: '小数位', key: '主键', query: '查询键', nullable: '可空', sensitivity: '敏感程度', standard: '数据元标准',
    codes: '代码集', unit: '单位', column: '来源字段', columnHint: '同标识', description: '说明', add: '新增信息项', up: '上移', down: '下移', remove: '删除', caption: '可编辑的信息项',
    note: '回车到下一行同一列，在最后一行回车新增一项。', count: (count: string) => `共 ${count} 项`, none: '还没有信息项。', fromTable: '从数据表带入',
  },
  rules: {
    lead: '规则随契约发布，对每一条变更检查：“错误”使该行进入隔离区，“警告”只计数。“唯一”“一致”不隔离，持续不符时告知相关部门。', add: '新增规则', id: '规则标识', kind: '种类', items: '信息项', parameters: '参数', severity: '级别', remove: '删除规则', none: '没有质量规则。',
    kinds: {
      required: '必填', pattern: '格式', range: '范围', enumeration: '枚举', code_list: '代码集', check_digit: '校验码', unique: '唯一', compare: '比较', freshness: '新鲜度', consistent: '一致',
    },
    names: {
      pattern: '正则（RE2）', min: '最小', max: '最大', values: '取值（逗号分隔）', list: '代码集', scheme: '校验方式', operator: '关系', max_age_seconds: '最长（秒）', resource: '另一资源', items: '其信息项（逗号分隔）', when: '适用条件',
    },
    schemes: { uscc: '统一社会信用代码', citizen_id: '公民身份号码' }, severities: { error: '错误', warning: '警告' },
  },
  hints: {
    slug: '须以小写字母开头，由小写字母、数字、下划线组成，不超过 40 个字符', twice: '标识重复', noConditions: '无条件共享不得附加条件', important: '重要数据只能有条件共享',
    notOpen: '不予共享或含个人、敏感信息项的资源不得向社会开放', noKey: '没有主键信息项，请标明用什么识别一行数据', keyNullable: '主键不得为空', scale: '小数位不得超过长度', secret: '含敏感项的资源不能无条件共享',
  },
  check: {
    title: '送审前核对', defects: '还不能送审', none: '没有需要完善的内容。', changes: '与已发布版本的差别', first: '首次发布，没有可以比较的版本。', level: '对使用方的影响', submit: '提交审核', submitted: '已送审',
    bumps: { major: '重大变更：现有使用方读不了新契约，须逐一确认或待通知期满', minor: '增补：现有使用方不受影响', patch: '说明性修改：数据结构不变' }, reading: '正在核对…',
  },
  reviews: {
    title: '目录审核', lead: '各部门送审的目录，按时限先后排列。送审人不能审核自己提交的内容。', none: '没有等待审核的目录', noneMore: '部门送审后会立即出现在这里。', resource: '资源', department: '部门', by: '送审人',
    since: '送审日期', due: '审核期限', kind: '类别', first: '首次发布', revision: '修订', own: '由您送审',
    page: (title: string) => `审核：${title}`, what: '送审内容', history: '办理过程', decide: '审核意见', ownMore: '这份内容由您送审，须由他人审核。', approve: '通过并发布', return: '退回修改', reason: '退回理由',
    reasonHint: '一次性写明全部问题与要求', comment: '意见（可选）', published: '已发布', returned: '已退回', notWaiting: '该资源不在审核中。', toResource: '查看资源页', checks: '自动检查', holds: '检查通过，可以发布。',
  },
  mount: {
    title: (title: string) => `挂接：${title}`, lead: '把资源与数据的真实所在连接起来：先试，看清全部问题与样例，再挂接。', kind: '数据在哪里', system: '信息系统', noSystem: '本部门还没有登记信息系统。', register: '登记信息系统',
    kinds: {
      table: '数据库表的每次变更经日志捕获，秒级送达。', topic: '系统用自己的程序按契约写入变更流。', file: '定期上传文件，与上一份比较出变更。', api: '平台按周期读取上游接口，比较出变更。',
    },
    table: '来源表', tables: '可选择的表', pick: '选择', picked: '已选', schema: '模式', name: '表', about: '说明', rows: '约行数', tableKey: '主键', replica: '整行日志', yes: '是', no: '否', noTables: '该系统的用户看不到任何表。', truncated: '表太多，仅列出一部分，请缩小范围。',
    readable: '可读', unreadable: '无读取权限', kindsOfTable: { table: '表', partitioned: '分区表', view: '视图', materialized: '物化视图', foreign: '外部表' },
    mapping: '字段对应', mappingLead: '系统按名称、注释、拼音提出建议，可以更改；更改后立即重新检查。', item: '信息项', column: '来源字段', why: '建议依据', found: '问题', unused: (columns: string) => `未使用的字段：${columns}`,
    reasons: { declared: '目录已声明', name: '名称相同', comment: '注释与名称一致', spelling: '写法相近', pinyin: '拼音', initials: '拼音首字母', type: '仅剩同类型字段' }, confidences: { certain: '确定', likely: '很可能', guess: '推测' },
    none: '未对应', chosen: '手工选择',
    findings: '检查结果', blocks: '不能挂接', warns: '需要留意', clean: '没有发现问题，可以挂接。', rulesTried: '质量规则试算', broken: '违反行数', sampled: (count: string) => `抽样 ${count} 行`,
    sample: '样例数据', sampleNote: '按敏感程度脱敏，只显示十行；不保存任何内容。', noRows: '表中没有数据。',
    act: '挂接', acting: '正在建立连接器，最长约一分钟…', differs: '字段对应与已发布的目录不同：先写入修订并审核发布，再挂接。', write: '把对应关系写入修订', writeDraft: '把对应关系写入草稿', wrote: '对应关系已写入',
    notPublished: '资源发布后才能挂接；现在可以先试，把字段对应写进草稿。', draftTried: '正在试的是修订中的草稿；挂接使用已发布的版本。', already: '该资源已经挂接。', notShared: '不予共享的资源不挂接。',
    live: '挂接已建立', liveMore: (topic: string) => `数据正在进入变更流 ${topic}。`, toResource: '查看资源页',
    credentialsOnce: '只显示一次，请立即保存。重新生成后原密码失效。', file: '上传文件', fileLead: 'CSV（UTF-8 或 GBK）或 Excel，首行为信息项标识。', mode: '文件内容', modes: { full: '全量：文件中没有的行视为删除', changes: '增量：只有新增和修改的行' },
    upload: '上传', choose: '选择文件', taken: (rows: string, created: string, updated: string, deleted: string) => `已接收 ${rows} 行：新增 ${created}，修改 ${updated}，删除 ${deleted}。`,
    api: {
      url: '接口地址', rows: '数据行的位置', rowsHint: 'JSON 指针，例如 /data/list', paging: '分页', pagings: { none: '不分页', cursor: '游标', page: '页码', link: 'Link 头' }, parameter: '分页参数', pointer: '下一游标的位置', header: '密钥请求头', secret: '密钥',
      secretHint: '加密保存，不再显示', every: '读取间隔（秒）', empty: '没有数据行表示全部删除', try: '试读接口', fields: '字段位置', pages: (pages: string, rows: string) => `读取 ${pages} 页、${rows} 行`,
    },
    try: '检查', again: '重新检查', trying: '正在读取来源…',
  },
  trial: {
    title: '用样例行试算规则', lead: '首行为信息项标识或名称，其后每行一条样例；可从电子表格直接粘贴，用制表符或逗号分隔，留空表示没有值。样例不保存。', rows: '样例行', act: '试算',
    count: (count: string) => `${count} 行样例`, saveFirst: '信息项有改动：先保存草稿，再试算。', noRules: '还没有规则。', noRows: '请在首行之后填写样例行。',
    good: (good: string, rows: string) => `${rows} 行中有 ${good} 行符合全部规则。`, broken: '不符合规则的样例行', row: '行', rule: '规则', detail: '问题',
  },
  grade: {
    title: '调整数据分级', act: '调整分级', actRising: '提高级别并重新审批', core: '核心数据不经本平台共享：请撤销发布。', grants: '现有授权', then: '调整后', reopened: '立即停止，重新审批', goesOn: '继续有效',
    rises: (count: string) => `级别提高后，以下 ${count} 项授权立即停止交付，须按新的级别重新审批；重要数据由两人审批。`,
    stays: (count: string) => `级别没有提高，以下 ${count} 项授权继续有效。`,
  },
  writer: {
    title: '写入凭据', lead: '系统用它写入变更流。口令不保存在平台，遗失或泄露时请重新生成。', once: '只显示一次，请立即保存到写入程序。', renew: '重新生成', sure: '重新生成写入凭据？', sureMore: '原口令立即失效，写入程序换上新口令之前无法写入。',
  },
  live: {
    title: '挂接状况', condition: '状况', where: '位置', topic: '变更流', connector: '连接器', records: '变更流记录', newest: '最新变更', every: '最近读取', checked: '最近检查', waits: '等待首次检查…', mounted: '已挂接',
  },
  lists: {
    title: '清单导入', lead: '权力清单、事项清单、数据清单按模板整表导入：有错误时不导入任何内容，错误逐处标出。', kinds: { powers: '权力清单', 'service-items': '事项清单', 'data-items': '数据清单' }, template: '下载模板', excel: 'Excel', csv: 'CSV',
    upload: '上传清单', choose: '选择文件', department: '部门', done: (rows: string, added: string, changed: string) => `已导入 ${rows} 行：新增 ${added}，修改 ${changed}。`, faults: '文件中的错误', row: '行', column: '列', detail: '问题', marked: '下载标注错误的副本',
    now: '现有清单', code: '代码', name: '名称', power: '所属权力', kind: '类型', basis: '依据', service_item: '所属事项', use: '用途', uses: { makes: '产生', needs: '使用' }, none: '还没有导入。', none_: '没有选择文件', exception: '例外说明',
  },
}
