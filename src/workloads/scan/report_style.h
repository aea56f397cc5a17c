// How the HTML report looks. Only report_html.cc includes this.
#pragma once

#include <string_view>

namespace millrace::scan {

inline constexpr std::string_view kReportStyle = R"css(
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--ink:#1c2230;--dim:#667085;--line:#e4e7ec;--soft:#f0f2f5;
--accent:#3b6fe0;--good:#17825b;--warn:#b25e09;--bad:#c4342d;--shadow:0 1px 2px rgba(16,24,40,.06),0 1px 3px rgba(16,24,40,.05);
--image:#3b82f6;--video:#8b5cf6;--audio:#ec4899;--blend:#f28c28;--scene:#14b8a6;--cache:#64748b;--document:#a3a635;
--spreadsheet:#22a05a;--code:#0ea5b7;--other:#a8b0bd}
@media (prefers-color-scheme:dark){:root{--bg:#0f131a;--card:#171c26;--ink:#e6e9ef;--dim:#96a0b2;--line:#273040;--soft:#1e2532;
--accent:#7aa2ff;--good:#4cc38a;--warn:#f0a04b;--bad:#ff7b72;--shadow:none;--cache:#8494ab;--other:#5d6778}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans","DejaVu Sans",sans-serif}
main,header,footer{max-width:1180px;margin:0 auto;padding:0 28px}
header{padding-top:40px;padding-bottom:8px}
h1{font-size:30px;line-height:1.2;letter-spacing:-.02em;margin:0 0 6px;overflow-wrap:anywhere}
h2{font-size:18px;letter-spacing:-.01em;margin:0 0 4px}
section>p,.sub{color:var(--dim);margin:0 0 14px}
header p{color:var(--dim);margin:0;overflow-wrap:anywhere}
nav{margin-top:16px;display:flex;flex-wrap:wrap;gap:6px}
nav a{color:var(--ink);text-decoration:none;background:var(--card);border:1px solid var(--line);border-radius:999px;padding:3px 13px;font-size:13px}
nav a:hover{border-color:var(--accent);color:var(--accent)}
nav b{font-variant-numeric:tabular-nums}
nav .bad b{color:var(--bad)} nav .warn b{color:var(--warn)}
.cards{display:grid;grid-template-columns:repeat(auto-fit,minmax(160px,1fr));gap:14px;margin:22px 0}
.card,section{background:var(--card);border:1px solid var(--line);border-radius:14px;box-shadow:var(--shadow)}
.card{padding:16px 18px}
.card b{display:block;font-size:26px;line-height:1.15;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.card span{color:var(--dim);font-size:13px}
.card.bad b{color:var(--bad)} .card.warn b{color:var(--warn)} .card.good b{color:var(--good)}
section{padding:22px 24px;margin:0 0 20px;scroll-margin-top:12px}
.two{display:grid;grid-template-columns:1fr 1fr;gap:20px;align-items:start}
.two>section{min-width:0;height:100%;margin:0}
.two{margin-bottom:20px}
@media (max-width:860px){.two{grid-template-columns:1fr}main,header,footer{padding-left:16px;padding-right:16px}}
.stack{display:flex;height:16px;border-radius:8px;overflow:hidden;background:var(--soft);margin:4px 0 14px;gap:2px}
.stack i{display:block;min-width:3px}
table{width:100%;border-collapse:collapse;font-size:13.5px}
th{text-align:left;color:var(--dim);font-weight:500;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);white-space:nowrap}
td{padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
tr:last-child td{border-bottom:0}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;overflow-wrap:normal}
th.n{padding-right:10px}
.scroll{overflow-x:auto}
.dot{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:8px}
.bar{position:relative;height:8px;border-radius:4px;background:var(--soft);min-width:60px}
.bar i{position:absolute;left:0;top:0;bottom:0;border-radius:4px;background:var(--accent);min-width:2px}
.path{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12.5px}
.dir{color:var(--dim)}
.pill{display:inline-block;border-radius:999px;padding:0 9px;font-size:12px;line-height:20px;background:var(--soft);color:var(--dim);white-space:nowrap}
.pill.bad{background:color-mix(in srgb,var(--bad) 14%,transparent);color:var(--bad)}
.pill.warn{background:color-mix(in srgb,var(--warn) 16%,transparent);color:var(--warn)}
.pill.good{background:color-mix(in srgb,var(--good) 15%,transparent);color:var(--good)}
.more{color:var(--dim);font-size:13px;margin:12px 0 0}
code{font-family:ui-monospace,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:12.5px;background:var(--soft);border-radius:5px;padding:1px 6px}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(150px,1fr));gap:14px}
figure{margin:0;min-width:0}
figure div{aspect-ratio:16/10;border-radius:10px;background:var(--soft);overflow:hidden;display:flex;align-items:center;justify-content:center}
figure img{width:100%;height:100%;object-fit:contain;display:block}
figcaption{font-size:12px;margin-top:6px;white-space:nowrap;overflow:hidden;text-overflow:ellipsis}
figcaption small{display:block;color:var(--dim);font-size:11.5px;overflow:hidden;text-overflow:ellipsis}
svg{display:block;width:100%;height:auto}
svg text{fill:var(--dim);font-size:11px;font-family:inherit}
svg .grid{stroke:var(--line)} svg .area{fill:color-mix(in srgb,var(--accent) 13%,transparent)}
svg .lineup{fill:none;stroke:var(--accent);stroke-width:2;stroke-linejoin:round}
svg .month{fill:color-mix(in srgb,var(--accent) 55%,transparent)} svg .month:hover{fill:var(--accent)}
.ok{color:var(--good);margin:0}
footer{color:var(--dim);font-size:13px;padding-top:6px;padding-bottom:44px}
@media print{body{background:#fff}section,.card{box-shadow:none;break-inside:avoid}nav{display:none}}
)css";

}  // namespace millrace::scan
