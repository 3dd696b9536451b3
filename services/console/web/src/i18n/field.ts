/** The field's own words for the values of closed sets, as the rest of the exchange uses them. */
import type { Like } from './like'

export const zh = {
  roles: { administrator: '数据主管部门', provider: '数据提供方', consumer: '数据使用方', ops: '运维', auditor: '审计' },
  sharing: { unconditional: '无条件共享', conditional: '有条件共享', not_shared: '不予共享' },
  grades: { general: '一般数据', important: '重要数据', core: '核心数据' },
  cycles: { real_time: '实时', daily: '每日', weekly: '每周', monthly: '每月', quarterly: '每季', yearly: '每年', once: '一次性' },
  channels: { topic: '消息', table: '库表交换', api: '接口调用', product: '数据产品', file: '文件' },
  sensitivity: { open: '公开', internal: '内部', personal: '个人信息', secret: '敏感' },
  types: {
    string: '文本', integer: '整数', decimal: '小数', double: '浮点数', boolean: '是否', date: '日期', timestamp: '时间',
  },
  resourceStates: {
    draft: '草稿', in_review: '审核中', published: '已发布', in_revision: '修订中', withdrawn: '已撤销',
  },
  states: {
    draft: '草稿', submitted: '待受理', accepted: '已受理', returned: '待补正', in_review: '审核中', approved: '已同意',
    refused: '不予共享', disputed: '争议协调', provisioning: '开通中', delivering: '交付中', evaluated: '已评价',
    closed: '已办结', withdrawn: '已撤回', expired: '已到期',
  },
  clocks: {
    accept: '受理', match: '匹配', reply: '审核答复', provide: '提供数据', supplement: '补正', papers: '补办手续',
    dispute: '争议协调', objection: '校核', review: '目录审核', publish: '发布审核', update: '目录更新',
  },
  paths: { rule: '按规则即时授权', decision: '审批', emergency: '应急共享' },
  levels: { none: '', parties: '双方协商', authority: '数据主管部门裁定', government: '政府裁定' },
  papers: { none: '', due: '手续待补', handed_in: '手续已补，待确认', settled: '手续齐备' },
  kinds: { catalogued: '已编目数据', uncatalogued: '未编目数据', social: '社会数据' },
  actions: {
    submit: '提交', accept: '受理', match: '确定数据提供方', catalogue: '关联资源', return: '退回补正', supplement: '提交补正',
    approve: '同意', refuse: '不予共享', dispute: '提出争议', escalate: '提请上级协调', overturn: '撤销原决定', uphold: '维持原决定',
    hand_in: '补交手续', confirm: '确认手续', evaluate: '评价', close: '办结', revoke: '收回授权', withdraw: '撤回申请',
    grant_by_rule: '按规则授权', grant_at_once: '应急授权', forward: '转送数据提供方', provision: '开通', deliver: '开始交付',
    reopen: '重新审核', lose: '资源失效', lapse: '到期', end: '授权终止', urge: '督办', answer: '答复', recall: '撤回',
    revise: '修订', discard: '放弃修订',
  },
  objectionStates: { open: '待校核', accepted: '已受理', refused: '不予更正', withdrawn: '已撤回', closed: '已更正' },
  outcomes: { as_asked: '按异议更正', otherwise: '更正为其他值', removed: '记录已删除' },
  grantStates: { active: '生效', expired: '到期', revoked: '已收回', reopened: '重新审核中' },
  matterKinds: { finding: '审计发现', alert: '告警', incident: '事件' },
  matterStates: { open: '待处理', answered: '已答复', escalated: '已升级', closed: '已关闭' },
  parties: { applicant: '申请方', supplier: '提供方', authority: '数据主管部门', rule: '平台' },
  nodes: {
    system: '信息系统', source: '数据来源', mount: '连接器', changes: '变更流', resource: '资源', contract: '契约', grant: '授权',
    delivery: '交付通道', department: '使用部门',
  },
  mountKinds: { table: '数据库表', topic: '系统自行写入', api: '上游接口', file: '文件' },
  conditions: { ok: '正常', warn: '需关注', stopped: '已停止' },
  outcome: { done: '完成', denied: '拒绝', failed: '失败' },
}

export const en: Like<typeof zh> = {
  roles: {
    administrator: 'data authority', provider: 'provider', consumer: 'consumer', ops: 'operations', auditor: 'auditor',
  },
  sharing: { unconditional: 'unconditional', conditional: 'conditional', not_shared: 'not shared' },
  grades: { general: 'general', important: 'important', core: 'core' },
  cycles: {
    real_time: 'real time', daily: 'daily', weekly: 'weekly', monthly: 'monthly', quarterly: 'quarterly', yearly: 'yearly',
    once: 'once',
  },
  channels: { topic: 'topic', table: 'table exchange', api: 'API', product: 'data product', file: 'file' },
  sensitivity: { open: 'open', internal: 'internal', personal: 'personal', secret: 'sensitive' },
  types: {
    string: 'text', integer: 'integer', decimal: 'decimal', double: 'double', boolean: 'yes/no', date: 'date',
    timestamp: 'time',
  },
  resourceStates: {
    draft: 'draft', in_review: 'in review', published: 'published', in_revision: 'in revision', withdrawn: 'withdrawn',
  },
  states: {
    draft: 'draft', submitted: 'submitted', accepted: 'accepted', returned: 'returned', in_review: 'in review',
    approved: 'approved', refused: 'refused', disputed: 'disputed', provisioning: 'provisioning', delivering: 'delivering',
    evaluated: 'evaluated', closed: 'closed', withdrawn: 'withdrawn', expired: 'expired',
  },
  clocks: {
    accept: 'acceptance', match: 'matching', reply: 'reply', provide: 'provision', supplement: 'supplement',
    papers: 'papers', dispute: 'dispute', objection: 'verification', review: 'catalogue review', publish: 'publication',
    update: 'catalogue update',
  },
  paths: { rule: 'granted at once by rule', decision: 'by decision', emergency: 'emergency' },
  levels: { none: '', parties: 'between the parties', authority: 'before the data authority', government: 'before the government' },
  papers: { none: '', due: 'papers due', handed_in: 'papers handed in', settled: 'papers settled' },
  kinds: { catalogued: 'catalogued data', uncatalogued: 'data nobody has catalogued', social: 'data of society' },
  actions: {
    submit: 'Submit', accept: 'Accept', match: 'Name the supplier', catalogue: 'Name the resource',
    return: 'Return for supplement', supplement: 'Hand in the supplement', approve: 'Approve', refuse: 'Refuse',
    dispute: 'Dispute', escalate: 'Escalate', overturn: 'Overturn', uphold: 'Uphold', hand_in: 'Hand in papers',
    confirm: 'Confirm papers', evaluate: 'Rate', close: 'Close', revoke: 'Revoke', withdraw: 'Withdraw',
    grant_by_rule: 'Granted by rule', grant_at_once: 'Granted at once', forward: 'Forwarded', provision: 'Provisioned',
    deliver: 'Delivery began', reopen: 'Reopened', lose: 'Resource lost', lapse: 'Lapsed', end: 'Ended', urge: 'Urge',
    answer: 'Answer', recall: 'Recall', revise: 'Revise', discard: 'Discard',
  },
  objectionStates: {
    open: 'to be verified', accepted: 'accepted', refused: 'refused', withdrawn: 'withdrawn', closed: 'corrected',
  },
  outcomes: { as_asked: 'corrected as asked', otherwise: 'corrected otherwise', removed: 'record removed' },
  grantStates: { active: 'active', expired: 'expired', revoked: 'revoked', reopened: 'being decided anew' },
  matterKinds: { finding: 'finding', alert: 'alert', incident: 'incident' },
  matterStates: { open: 'open', answered: 'answered', escalated: 'escalated', closed: 'closed' },
  parties: { applicant: 'applicant', supplier: 'supplier', authority: 'data authority', rule: 'the exchange' },
  nodes: {
    system: 'system', source: 'source', mount: 'connector', changes: 'change topic', resource: 'resource',
    contract: 'contract', grant: 'grant', delivery: 'channel', department: 'department',
  },
  mountKinds: { table: 'database table', topic: 'written by the system', api: 'upstream API', file: 'files' },
  conditions: { ok: 'well', warn: 'look at it', stopped: 'stopped' },
  outcome: { done: 'done', denied: 'denied', failed: 'failed' },
}
