"""The words of the field for what the code keeps as enumerations, as people write them in a catalogue."""

from __future__ import annotations

from collections.abc import Mapping

from services.catalog.domain.resource import Channel, FormatKind, Grade, Sensitivity, SharingType, UpdateCycle

SHARING: Mapping[SharingType, str] = {
    SharingType.UNCONDITIONAL: "无条件共享",
    SharingType.CONDITIONAL: "有条件共享",
    SharingType.NOT_SHARED: "不予共享",
}
CHANNELS: Mapping[Channel, str] = {
    Channel.TOPIC: "消息推送",
    Channel.TABLE: "库表交换",
    Channel.API: "接口调用",
    Channel.PRODUCT: "数据产品定制",
    Channel.FILE: "文件下载",
}
CYCLES: Mapping[UpdateCycle, str] = {
    UpdateCycle.REAL_TIME: "实时",
    UpdateCycle.DAILY: "每日",
    UpdateCycle.WEEKLY: "每周",
    UpdateCycle.MONTHLY: "每月",
    UpdateCycle.QUARTERLY: "每季度",
    UpdateCycle.YEARLY: "每年",
}
FORMATS: Mapping[FormatKind, str] = {
    FormatKind.FILE: "电子文件",
    FormatKind.SPREADSHEET: "电子表格",
    FormatKind.DATABASE: "数据库",
    FormatKind.IMAGE: "图形图像",
    FormatKind.STREAM: "流媒体",
    FormatKind.SELF_DESCRIBING: "自描述格式",
}
GRADES: Mapping[Grade, str] = {Grade.GENERAL: "一般", Grade.IMPORTANT: "重要", Grade.CORE: "核心"}
SENSITIVITIES: Mapping[Sensitivity, str] = {
    Sensitivity.OPEN: "公开",
    Sensitivity.INTERNAL: "内部",
    Sensitivity.PERSONAL: "个人信息",
    Sensitivity.SECRET: "敏感",
}
