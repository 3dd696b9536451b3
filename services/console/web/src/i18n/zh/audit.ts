export const audit = {
  at: '时间',
  title: '审计日志',
  lead: '平台上发生的每一件事都封存在签名日志中。查询本身也会被记录。',
  status: (size: string, indexed: string) => `已封存 ${size} 条，可检索 ${indexed} 条`, sealing: '正在封存', notSealing: '本进程待命，未在封存',
  search: '查询', reset: '重置', follow: '跟随最新', following: '正在跟随最新记录', newest: '最新记录', found: '查询结果', more: '继续读取',
  fields: {
    actor: '操作人', department: '部门', type: '事件', subject: '对象', thread: '全程编号', outcome: '结果', since: '起', until: '止', topic: '主题',
    actorHint: '姓名或引用', subjectHint: '资源、申请、授权编号', threadHint: '一份申请从提出到最后一条交付的编号',
  },
  columns: { sequence: '序号', what: '事件', who: '操作人', subject: '对象', outcome: '结果', at: '发生时间', records: '记录数' },
  none: '没有符合条件的日志记录。', who: '查看姓名', erased: '姓名已抹除',
  entry: {
    title: (number: string) => `日志第 ${number} 条`, facts: '记录', thread: '同一全程', recorded: '封存时间', occurred: '发生时间', digest: '记录摘要', trace: '追踪编号',
    place: '来源位置', delay: '封存耗时', previous: '上一条', next: '下一条', follow: '查看全程',
  },
  verify: {
    title: '在本页验证', lead: '以下由您的浏览器独立计算，不信任服务器的结论：签名、叶哈希、包含证明逐项重算。', run: '重新验证', running: '正在计算…',
    holds: '验证通过：该记录确实在已签名的日志中，且未被改动。', fails: '验证未通过', unsupported: '此浏览器不支持 Ed25519，请更换较新的浏览器，或用导出的 verify.py 离线验证。',
    checks: { key: '日志公钥', signature: '检查点签名（Ed25519）', number: '记录自带的序号', leaf: '叶哈希 SHA-256(0x00 ‖ 记录)', root: '由包含证明重算的树根' },
    proof: '包含证明', size: (size: string) => `检查点含 ${size} 条`, computed: '重算', signed: '签名中', raw: '封存的原始记录（Base64）', keep: '下载证明', steps: (count: string) => `${count} 个兄弟节点`,
    anchor: '请与您另行取得的公钥核对',
  },
  trace: { title: '全程追溯', lead: '按时间排列的同一全程的所有记录：从申请、授权到每一批交付。', load: '显示全程' },
  matters: {
    title: '发现与告警', lead: '审计发现由部门整改答复；告警由规则触发，处理后关闭，必要时升级为事件。', none: '没有发现或告警。', kind: '类别', state: '状态', matter: '事项',
    department: '部门', due: '答复期限', opened: '提出', evidence: '依据', rule: '规则', steps: '处理过程', take: '处理', text: '说明', done: '已处理', need: '请写明内容',
    actions: { answer: '答复', return: '退回', escalate: '升级为事件', close: '关闭' }, open: '提出发现', openTitle: '提出审计发现', title_: '标题', entries: '依据的日志序号',
    entriesHint: '以逗号分隔，例如 4711, 4712', opened_: '发现已提出', all: '全部', by: (who: string) => `由 ${who} 提出`, from: (id: string) => `由告警 ${id} 升级`,
    onlyOpen: '只看未关闭',
  },
}
