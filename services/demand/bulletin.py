"""The bulletin (通报) of a period: a page to print, in Chinese or English, its plots in it and nothing outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from html import escape

from services.core.calendar import PLACE
from services.core.words import Words, in_language
from services.demand.domain.assessment import Assessment, Period, Rate, total
from services.demand.domain.norms import Weights

_LABELS = {
    "on_demand": Words("On-demand sharing rate", "按需共享率"),
    "minute_level": Words("Minute-level satisfaction rate", "分钟级满足率"),
    "timeliness": Words("Deliveries within a minute", "一分钟内送达率"),
    "answers": Words("Answered in time", "按时答复率"),
    "quality": Words("Records without fault", "数据质量合格率"),
    "use": Words("Grants in use", "授权使用率"),
    "satisfaction": Words("Satisfaction", "满意度"),
}
_TITLE = Words("Bulletin of data sharing", "政务数据共享通报")
_DEPARTMENT = Words("Department", "部门")
_PROVIDED = Words("Records provided", "提供记录数")
_RECEIVED = Words("Records received", "接收记录数")
_OBJECTIONS = Words("Objections", "数据异议")
_FEEDBACK = Words("Feedback given", "提交评价")
_SCORE = Words("Score", "得分")
_ALL = Words("All departments", "全部部门")
_AUTHORITY = Words("(not assigned)", "（未指定）")
_DAILY = Words("Records delivered per day", "每日交付记录数")
_RATES = Words("Rates of the whole place", "总体指标")
_MADE = Words("Made", "生成时间")
_NOTHING = Words("Nothing happened in this period.", "本期无数据。")
_NOTE = Words(
    "All figures can be reckoned again from the events and delivery manifests that the audit log seals.",
    "全部指标均可由审计日志封存的事件与交付清单重新计算得出。",
)

_STYLE = """
body{font:14px/1.5 "Noto Sans CJK SC","Microsoft YaHei",system-ui,sans-serif;color:#1a1a1a}
body{margin:2rem auto;max-width:62rem}
h1{font-size:1.6rem;margin:0 0 .2rem}h2{font-size:1.1rem;margin:1.6rem 0 .4rem}
p.small{color:#555;margin:.2rem 0}table{border-collapse:collapse;width:100%}
th,td{border:1px solid #bbb;padding:.3rem .5rem;text-align:right}th:first-child,td:first-child{text-align:left}
thead th{background:#eef2f7;text-align:center}tfoot td{font-weight:600}svg{max-width:100%;height:auto}
tr{break-inside:avoid}@page{size:A4 landscape;margin:14mm}@media print{body{margin:0;max-width:none}}
"""
_BLUE, _GREY = "#1f5fa8", "#dfe5ec"


def bulletin(
    period: Period,
    found: Mapping[str, Assessment],
    daily: Sequence[tuple[date, int]],
    names: Mapping[str, str],
    weights: Weights,
    language: str,
    made_at: datetime,
) -> str:
    """The page as HTML; `daily` are the records delivered on each day, `names` the departments'."""

    def said(words: str) -> str:
        return escape(in_language(words, language))

    whole = total(found)
    body = [
        f"<h1>{said(_TITLE)} {escape(period.name)}</h1>",
        f'<p class="small">{said(_MADE)}: {made_at.astimezone(PLACE):%Y-%m-%d %H:%M}</p>',
    ]
    if not found:
        body.append(f"<p>{said(_NOTHING)}</p>")
    else:
        body.append(f"<h2>{said(_RATES)}</h2>{_bars(whole, language)}")
        body.append(f"<h2>{said(_DAILY)}</h2>{_columns(daily, in_language(_DAILY, language))}")
        body.append(_table(found, whole, names, weights, language))
    body.append(f'<p class="small">{said(_NOTE)}</p>')
    tag = "zh-CN" if language == "zh" else "en"
    head = f'<meta charset="utf-8"><title>{said(_TITLE)} {escape(period.name)}</title><style>{_STYLE}</style>'
    return f'<!doctype html>\n<html lang="{tag}"><head>{head}</head><body>\n' + "\n".join(body) + "\n</body></html>\n"


def _table(
    found: Mapping[str, Assessment], whole: Assessment, names: Mapping[str, str], weights: Weights, language: str
) -> str:
    counts = (_PROVIDED, _RECEIVED, _OBJECTIONS, _FEEDBACK)
    heads = [_DEPARTMENT, *_LABELS.values(), *counts, _SCORE]
    rows = []
    for slug, one in found.items():
        name = names.get(slug, slug) or in_language(_AUTHORITY, language)
        rows.append(_row(name, one, weights))
    return (
        "<table><thead><tr>"
        + "".join(f'<th scope="col">{escape(in_language(head, language))}</th>' for head in heads)
        + f"</tr></thead><tbody>{''.join(rows)}</tbody>"
        + f"<tfoot>{_row(in_language(_ALL, language), whole, weights)}</tfoot></table>"
    )


def _row(name: str, one: Assessment, weights: Weights) -> str:
    score = one.score(weights)
    cells = [*(_percent(one.rates[figure]) for figure in _LABELS)]
    cells += [f"{number:,}" for number in (one.provided, one.received, one.objections, one.feedback)]
    cells.append("–" if score is None else f"{score:.1f}")
    return f"<tr><td>{escape(name)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _percent(rate: Rate) -> str:
    return "–" if rate.value is None else f"{100 * rate.value:.1f} %"


def _bars(whole: Assessment, language: str) -> str:
    """A bar a rate, with its numbers."""
    height, left, width = 26, 250, 420
    parts = []
    for place, (figure, label) in enumerate(_LABELS.items()):
        rate, top = whole.rates[figure], place * height
        share = max(0.0, min(1.0, rate.value or 0.0))
        parts += [
            f'<text x="{left - 10}" y="{top + 17}" text-anchor="end">{escape(in_language(label, language))}</text>',
            f'<rect x="{left}" y="{top + 5}" width="{width}" height="15" fill="{_GREY}"/>',
            f'<rect x="{left}" y="{top + 5}" width="{share * width:.1f}" height="15" fill="{_BLUE}"/>',
            f'<text x="{left + width + 10}" y="{top + 17}">{_percent(rate)}</text>',
        ]
    return _svg(left + width + 90, len(_LABELS) * height, in_language(_RATES, language), parts)


def _columns(daily: Sequence[tuple[date, int]], title: str) -> str:
    """A column a day."""
    width, height, foot = 760, 150, 22
    most = max((records for _, records in daily), default=0)
    if not most:
        return f"<p>{escape(title)}: 0</p>"
    step = width / len(daily)
    parts = [f'<text x="0" y="12">{most:,}</text>']
    for place, (day, records) in enumerate(daily):
        tall = (height - 20) * records / most
        x = place * step
        parts.append(
            f'<rect x="{x:.1f}" y="{height - tall:.1f}" width="{max(step - 1, 0.5):.1f}" height="{tall:.1f}"'
            f' fill="{_BLUE}"><title>{day}: {records:,}</title></rect>'
        )
    first, last = daily[0][0], daily[-1][0]
    parts += [
        f'<line x1="0" y1="{height}" x2="{width}" y2="{height}" stroke="#555"/>',
        f'<text x="0" y="{height + foot - 6}">{first}</text>',
        f'<text x="{width}" y="{height + foot - 6}" text-anchor="end">{last}</text>',
    ]
    return _svg(width, height + foot, title, parts)


def _svg(width: float, height: float, title: str, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width:.0f}" height="{height:.0f}"'
        f' viewBox="0 0 {width:.0f} {height:.0f}" font-size="12"><title>{escape(title)}</title>{"".join(parts)}</svg>'
    )
