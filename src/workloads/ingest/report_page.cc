// The report as one HTML page. What people ask first stands first: how much is done, and what failed why.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/strings.h"
#include "workloads/ingest/report.h"
#include "workloads/text.h"

namespace millrace::ingest {
namespace {

using workloads::html_text;

constexpr size_t kFailuresShown = 1000;  // without scripts; the table has them all

// JSON within a script element: nothing that could end it.
std::string script_json(const base::json::value& value) {
  return base::replace_all(base::json::serialize(value), "<", "\\u003c");
}

// A link only to what a browser may open without running anything.
std::string link(const std::string& url, const std::string& text) {
  if (!url.starts_with("https://") && !url.starts_with("http://")) return html_text(text);
  return "<a href=\"" + html_text(url) + "\" rel=\"noreferrer\">" + html_text(text) + "</a>";
}

std::string duration(int64_t ms) {
  if (ms < 1000) return std::to_string(ms) + " ms";
  if (ms < 60'000) return std::to_string(ms / 1000) + "." + std::to_string(ms % 1000 / 100) + " s";
  const int64_t seconds = ms / 1000;
  if (seconds < 3600) return std::to_string(seconds / 60) + " min " + std::to_string(seconds % 60) + " s";
  return std::to_string(seconds / 3600) + " h " + std::to_string(seconds % 3600 / 60) + " min";
}

constexpr std::string_view kStyle = R"css(
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6570;--line:#d9dee3;--paper:#fff;--panel:#f5f7f9;
--published:#1a7f4b;--unchanged:#7a8794;--failed:#c62828;--timed-out:#b45309;--stopped:#7c4dbd;--lost:#ad1457;--link:#0b5cad}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ec;--soft:#9aa5b1;--line:#333b44;--paper:#14181d;--panel:#1c2229;
--published:#4cc38a;--unchanged:#8b98a5;--failed:#ff7b72;--timed-out:#f0a04b;--stopped:#b794f4;--lost:#f48fb1;--link:#79b8ff}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1200px;padding:24px 20px 60px;background:var(--paper);color:var(--ink);
font:14px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
h1{font-size:22px;margin:0 0 4px}h2{font-size:16px;margin:32px 0 10px}
.soft{color:var(--soft)}a{color:var(--link)}
.bar{display:flex;height:14px;border-radius:7px;overflow:hidden;margin:18px 0 12px;background:var(--panel)}
.bar span{min-width:3px}
.tiles{display:flex;flex-wrap:wrap;gap:10px}
.tile{flex:1 1 120px;background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:10px 14px}
.tile b{display:block;font-size:22px;font-variant-numeric:tabular-nums}
.dot{display:inline-block;width:9px;height:9px;border-radius:50%;margin-right:6px}
.scroll{overflow-x:auto}.tall{max-height:75vh;overflow-y:auto}
table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:6px 10px;border-bottom:1px solid var(--line);vertical-align:top}
th{position:sticky;top:0;background:var(--paper);white-space:nowrap;font-weight:600}
th button{font:inherit;color:inherit;background:none;border:0;padding:0;cursor:pointer}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
td.repo{font-weight:500;overflow-wrap:anywhere;min-width:180px}td.published,td.unchanged,td.failed,td.timed-out,td.stopped,td.lost{white-space:nowrap}
td.why{overflow-wrap:anywhere;min-width:220px}
code{font:12px ui-monospace,SFMono-Regular,Menlo,monospace}
.tools{display:flex;flex-wrap:wrap;gap:8px;margin:10px 0}
.tools input,.tools select{font:inherit;color:inherit;background:var(--panel);border:1px solid var(--line);
border-radius:6px;padding:6px 10px}.tools input{flex:1 1 240px}
.more{margin:12px 0}
.published{color:var(--published)}.unchanged{color:var(--unchanged)}.failed{color:var(--failed)}
.timed-out{color:var(--timed-out)}.stopped{color:var(--stopped)}.lost{color:var(--lost)}
.b-published{background:var(--published)}.b-unchanged{background:var(--unchanged)}.b-failed{background:var(--failed)}
.b-timed-out{background:var(--timed-out)}.b-stopped{background:var(--stopped)}.b-lost{background:var(--lost)}
)css";

// The table of all rows: filtered, sorted, a page at a time, so that ten thousand of them open at once.
constexpr std::string_view kScript = R"js(
'use strict';
const rows=JSON.parse(document.getElementById('rows').textContent),body=document.getElementById('all'),
text=document.getElementById('text'),status=document.getElementById('status'),shown=document.getElementById('shown'),
more=document.getElementById('more');
let limit=200,by=0,down=false,found=[];
const seconds=ms=>ms<0?'':ms<1000?ms+' ms':ms<60000?(ms/1000).toFixed(1)+' s':Math.floor(ms/60000)+' min '+Math.round(ms%60000/1000)+' s';
const size=n=>{if(!n)return'';const u=['B','KiB','MiB','GiB','TiB'];let i=0;while(n>=1024&&i<4){n/=1024;i++}return (i?n.toFixed(1):n)+' '+u[i]};
const cell=(row,value,name)=>{const td=document.createElement('td');td.textContent=value;if(name)td.className=name;row.append(td);return td};
function draw(){
  const wanted=text.value.toLowerCase();
  found=rows.filter(r=>(!status.value||r[2]===status.value)&&(!wanted||r[8].includes(wanted)));
  found.sort((a,b)=>(a[by]<b[by]?-1:a[by]>b[by]?1:a[0]-b[0])*(down?-1:1));
  body.replaceChildren();
  for(const r of found.slice(0,limit)){
    const row=document.createElement('tr');
    cell(row,r[0],'n');
    const repo=cell(row,'','repo');
    if(/^https?:\/\//.test(r[7])){const a=document.createElement('a');a.href=r[7];a.rel='noreferrer';a.textContent=r[1];repo.append(a)}else repo.textContent=r[1];
    cell(row,r[2],r[2]);
    const code=document.createElement('code');code.textContent=r[3].slice(0,10);cell(row,'').append(code);
    cell(row,seconds(r[4]),'n');cell(row,size(r[5]),'n');cell(row,r[6],'why');
    body.append(row);
  }
  shown.textContent=Math.min(limit,found.length)+' of '+found.length+(found.length<rows.length?' (of '+rows.length+')':'');
  more.hidden=found.length<=limit;
}
for(const r of rows)r.push((r[1]+' '+r[2]+' '+r[3]+' '+r[6]).toLowerCase());
text.oninput=status.onchange=()=>{limit=200;draw()};
more.onclick=()=>{limit+=1000;draw()};
document.querySelectorAll('th button').forEach(b=>b.onclick=()=>{const n=+b.dataset.by;down=by===n?!down:n>3;by=n;draw()});
document.getElementById('list').hidden=false;draw();
)js";

std::string name_of(const Outcome& row) {
  std::string name = row.origin.empty() ? row.path : row.origin + '/' + row.path;
  const std::string& branch = row.wanted_branch.empty() ? row.branch : row.wanted_branch;
  return branch.empty() ? name : name + " @ " + branch;
}

void summary(const Report& report, base::TimeMs now, const std::function<void(std::string_view)>& out) {
  uint64_t bytes = 0, files = 0;
  for (const Outcome& row : report.rows) {
    bytes += row.published_bytes;
    files += row.files;
  }
  std::string text =
      "<h1>Ingest: " + std::to_string(report.rows.size()) + " repositories</h1><p class=\"soft\">";
  if (report.started != 0)
    text += html_text(base::iso8601(report.started)) + ", " +
            html_text(duration(std::max<int64_t>(0, report.finished - report.started))) +
            " from first to last · ";
  text += std::to_string(report.sources.size()) + (report.sources.size() == 1 ? " result" : " results") +
          " · page made " + html_text(base::iso8601(now)) + "</p>";
  text += "<div class=\"bar\" role=\"img\" aria-label=\"share of outcomes\">";
  for (size_t i = 0; i < kStatuses; ++i)
    if (report.counts[i] != 0)
      text += "<span class=\"b-" + std::string(to_text(static_cast<Status>(i))) +
              "\" style=\"flex:" + std::to_string(report.counts[i]) + "\"></span>";
  text += "</div><div class=\"tiles\">";
  for (size_t i = 0; i < kStatuses; ++i) {
    const std::string name(to_text(static_cast<Status>(i)));
    // What did not happen needs no tile, but that nothing failed does.
    if (report.counts[i] == 0 && name != "published" && name != "failed") continue;
    text += "<div class=\"tile\"><b>" + std::to_string(report.counts[i]) + "</b><span class=\"dot b-" + name +
            "\"></span>" + name + "</div>";
  }
  text += "<div class=\"tile\"><b>" + html_text(base::human_bytes(bytes)) + "</b>published, " +
          std::to_string(files) + " files</div></div>";
  if (report.duplicates > 0 || report.strangers > 0) {
    text += "<p class=\"soft\">";
    if (report.duplicates > 0)
      text += std::to_string(report.duplicates) + " rows of the list name a repository again. ";
    if (report.strangers > 0)
      text += std::to_string(report.strangers) + " outcomes are of repositories that the list does not name.";
    text += "</p>";
  }
  if (!report.problems.empty()) {
    text += "<h2 class=\"failed\">Results that could not be read</h2><ul>";
    for (const std::string& problem : report.problems) text += "<li>" + html_text(problem) + "</li>";
    text += "</ul>";
  }
  out(text);
}

void reasons(const Report& report, const std::function<void(std::string_view)>& out) {
  std::map<std::string, uint64_t> by_reason;
  for (const Outcome& row : report.rows)
    if (row.failed())
      ++by_reason[row.status == Status::kLost
                      ? std::string("lost")
                      : std::string(to_text(row.step)) + ": " +
                            (row.code.empty() ? std::string(to_text(row.status)) : row.code)];
  if (by_reason.empty()) return;
  std::vector<std::pair<std::string, uint64_t>> sorted(by_reason.begin(), by_reason.end());
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  std::string text = "<h2>Why " + std::to_string(report.failed()) + " are not done</h2><p>";
  for (const auto& [reason, count] : sorted)
    text += "<b>" + std::to_string(count) + "</b>&nbsp;" + html_text(reason) + " &emsp; ";
  text +=
      "</p><div class=\"scroll tall\"><table><thead><tr><th "
      "class=\"n\">row</th><th>repository</th><th>outcome</th>"
      "<th>step</th><th>reason</th></tr></thead><tbody>";
  out(text);
  size_t shown = 0;
  for (const Outcome& row : report.rows) {
    if (!row.failed()) continue;
    if (shown++ == kFailuresShown) break;
    const std::string status(to_text(row.status));
    std::string reason = html_text(row.reason.empty() ? row.code : row.reason);
    if (!row.log_uri.empty())
      reason += " · " + link(row.log_uri, row.log_uri.starts_with("http") ? "log" : row.log_uri);
    out("<tr><td class=\"n\">" + std::to_string(row.row) + "</td><td class=\"repo\">" +
        html_text(name_of(row)) + "</td><td class=\"" + status + "\">" + status + "</td><td>" +
        (row.status == Status::kLost ? "" : std::string(to_text(row.step))) + "</td><td class=\"why\">" +
        reason + "</td></tr>");
  }
  out("</tbody></table></div>");
  if (report.failed() > kFailuresShown)
    out("<p class=\"soft\">The first " + std::to_string(kFailuresShown) +
        " of them; the table below has all.</p>");
}

void steps(const Report& report, const std::function<void(std::string_view)>& out) {
  std::string text;
  for (size_t i = 0; i < kSteps; ++i) {
    std::vector<int64_t> times;
    const Outcome* slowest = nullptr;
    for (const Outcome& row : report.rows) {
      if (row.step_ms[i] < 0) continue;
      times.push_back(row.step_ms[i]);
      if (slowest == nullptr || row.step_ms[i] > slowest->step_ms[i]) slowest = &row;
    }
    if (times.empty()) continue;
    std::sort(times.begin(), times.end());
    int64_t all = 0;
    for (int64_t time : times) all += time;
    text += "<tr><td>" + std::string(to_text(static_cast<Step>(i))) + "</td><td class=\"n\">" +
            std::to_string(times.size()) + "</td><td class=\"n\">" + duration(all) + "</td><td class=\"n\">" +
            duration(times[times.size() / 2]) + "</td><td class=\"n\">" + duration(times.back()) +
            "</td><td class=\"repo\">" + html_text(name_of(*slowest)) + "</td></tr>";
  }
  if (text.empty()) return;
  out("<h2>Time by step</h2><div class=\"scroll\"><table><thead><tr><th>step</th><th "
      "class=\"n\">repositories</th>"
      "<th class=\"n\">together</th><th class=\"n\">median</th><th class=\"n\">longest</th><th>which "
      "one</th></tr>"
      "</thead><tbody>" +
      text + "</tbody></table></div>");
}

void all_rows(const Report& report, const std::function<void(std::string_view)>& out) {
  out("<section id=\"list\" hidden><h2>All repositories</h2><div class=\"tools\"><input id=\"text\" "
      "type=\"search\" "
      "placeholder=\"name, commit, reason\" aria-label=\"search\"><select id=\"status\" "
      "aria-label=\"outcome\">"
      "<option value=\"\">every outcome</option>");
  for (size_t i = 0; i < kStatuses; ++i)
    if (report.counts[i] != 0) {
      const std::string name(to_text(static_cast<Status>(i)));
      out("<option>" + name + "</option>");
    }
  out("</select><span class=\"soft\" id=\"shown\"></span></div><div class=\"scroll\"><table><thead><tr>");
  int column = 0;
  for (const char* name : {"row", "repository", "outcome", "commit", "time", "published", "reason"}) {
    const bool number = column == 0 || column == 4 || column == 5;
    out(std::string("<th") + (number ? " class=\"n\"" : "") + "><button data-by=\"" +
        std::to_string(column++) + "\">" + name + "</button></th>");
  }
  out("</tr></thead><tbody id=\"all\"></tbody></table></div><button class=\"more\" id=\"more\">show "
      "more</button>"
      "</section><script type=\"application/json\" id=\"rows\">[");
  bool first = true;
  for (const Outcome& row : report.rows) {
    // The order of the columns of the table, then what the name links to.
    base::json::array cells = {static_cast<int64_t>(row.row),
                               workloads::printable(name_of(row)),
                               to_text(row.status),
                               workloads::printable(row.changeset),
                               row.started == 0 ? int64_t{-1} : row.finished - row.started,
                               static_cast<int64_t>(row.published_bytes),
                               workloads::printable(row.reason),
                               workloads::printable(row.publish_uri)};
    out((first ? "" : ",\n") + script_json(cells));
    first = false;
  }
  out("]</script><script>");
  out(kScript);
  out("</script>");
}

}  // namespace

void write_page(const Report& report, base::TimeMs now, const std::function<void(std::string_view)>& out) {
  out("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\"><meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; style-src 'unsafe-inline'; script-src "
      "'unsafe-inline'\"><title>Ingest: ");
  out(std::to_string(report.failed() == 0 ? report.rows.size() : report.failed()) +
      (report.failed() == 0 ? " repositories done"
                            : " of " + std::to_string(report.rows.size()) + " not done"));
  out("</title><style>");
  out(kStyle);
  out("</style></head><body>");
  summary(report, now, out);
  reasons(report, out);
  steps(report, out);
  all_rows(report, out);
  out("</body></html>\n");
}

}  // namespace millrace::ingest
