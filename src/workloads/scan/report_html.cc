#include "workloads/scan/report_html.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/strings.h"
#include "objects/new_object.h"
#include "objects/store.h"
#include "workloads/scan/catalog_queries.h"
#include "workloads/scan/report_style.h"
#include "workloads/scan/report_text.h"
#include "workloads/text.h"

namespace millrace::scan {
namespace {

using workloads::html_text;

namespace json = base::json;

constexpr int64_t kListRows = 50;
constexpr int64_t kThumbnails = 60;
constexpr size_t kThumbnailMax = 400 << 10;  // bytes of one
constexpr size_t kFolders = 14;              // shown
constexpr size_t kFoldersKept = 20'000;      // counted apart; what comes later counts as "other"
constexpr size_t kMonths = 48;

class Page {
 public:
  Page(sql::Connection& connection, std::string_view database, std::string title,
       const std::string& destination, const base::Clock& clock)
      : connection_(connection),
        database_(database),
        title_(std::move(title)),
        now_(base::iso8601(clock.now_ms())),
        out_(objects::parse_location(destination), "text/html; charset=utf-8") {}

  void write() {
    facts_ = describe_catalog(connection_);
    root_ = newest_root();
    if (title_.empty()) title_ = root_.empty() ? "Catalogue" : root_;
    head();
    cards();
    put("<div class=two>");
    types();
    folders();
    put("</div>");
    timeline();
    gallery();
    missing();
    unreadable();
    sequences();
    duplicates();
    unused();
    put("<div class=two>");
    distribution("formats", "What the pictures and films are",
                 "SELECT f.format,count(*),CAST(sum(f.file_size) AS BIGINT) FROM files f WHERE "
                 "f.status<>'missing' AND "
                 "f.format IS NOT NULL GROUP BY f.format ORDER BY 3 DESC,1");
    distribution(
        "resolutions", "Resolutions",
        "SELECT coalesce(i.resolution_x,v.resolution_x)||' × '||coalesce(i.resolution_y,v.resolution_y),"
        "count(*),CAST(sum(f.file_size) AS BIGINT) FROM files f LEFT JOIN images i ON i.file_id=f.id LEFT "
        "JOIN "
        "videos v ON v.file_id=f.id WHERE f.status<>'missing' AND coalesce(i.resolution_y,v.resolution_y) IS "
        "NOT NULL GROUP BY 1 ORDER BY 2 DESC,1");
    distribution("codecs", "Codecs",
                 "SELECT v.codec,count(*),CAST(sum(f.file_size) AS BIGINT) FROM files f JOIN videos v ON "
                 "v.file_id=f.id "
                 "WHERE f.status<>'missing' AND v.codec IS NOT NULL GROUP BY v.codec ORDER BY 2 DESC,1");
    distribution(
        "blender", "Blender versions",
        "SELECT 'Blender '||b.blender_version,count(*),CAST(sum(f.file_size) AS BIGINT) FROM files f JOIN "
        "blend_files b ON b.file_id=f.id WHERE f.status<>'missing' AND b.blender_version IS NOT NULL GROUP "
        "BY "
        "b.blender_version ORDER BY b.blender_version DESC");
    put("</div>");
    scans();
    put(fmt::format(
        "</main><footer>Made by <code>millrace catalog report</code> on {} from {}. Nothing in this page "
        "is fetched from anywhere.</footer></body></html>\n",
        now_, html_text(database_)));
    out_.publish();
  }

 private:
  void put(std::string_view text) { out_.write(text); }
  std::string shown_path(std::string_view path) const { return path_cell(path, root_); }
  int64_t fact(std::string_view name) const { return base::find_int(facts_, name).value_or(0); }

  std::string newest_root() {
    auto query = connection_.prepare("SELECT root FROM scans ORDER BY id DESC LIMIT 1");
    return query->step() ? std::string(query->text(0)) : "";
  }

  void head() {
    put("<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport "
        "content=\"width=device-width\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';img-src data:;style-src "
        "'unsafe-inline'\"><title>");
    put(html_text(title_));
    put("</title><style>");
    put(kReportStyle);
    put("</style></head><body><header><h1>" + html_text(title_) + "</h1><p>");
    if (const json::object* scan = base::find_object(facts_, "last_scan")) {
      const std::string status(base::find_string(*scan, "status").value_or(""));
      put(fmt::format("Last scan {} <span class=\"pill {}\">{}</span>",
                      html_text(base::find_string(*scan, "started").value_or("").substr(0, 16)),
                      status == "complete"  ? "good"
                      : status == "partial" ? "warn"
                                            : "bad",
                      html_text(status)));
    }
    put("</p><nav>");
    link("missing", "missing files", fact("missing_dependencies"), "bad");
    link("unreadable", "unreadable", fact("unreadable_files"), "bad");
    link("sequences", "sequences with problems", fact("inconsistent_sequences"), "warn");
    link("duplicates", "groups of copies", fact("duplicate_groups"), "warn");
    link("unused", "unused files", fact("unused_files"), "");
    put("</nav></header><main>");
  }

  void link(const char* id, const char* text, int64_t count, const char* kind) {
    put(fmt::format("<a href=\"#{}\" class=\"{}\"><b>{}</b> {}</a>", id, count > 0 ? kind : "",
                    grouped(count), text));
  }

  void cards() {
    auto card = [&](const std::string& value, std::string_view label, const char* kind = "") {
      put(fmt::format("<div class=\"card {}\"><b>{}</b><span>{}</span></div>", kind, value, label));
    };
    put("<div class=cards>");
    card(grouped(fact("files")), "files");
    card(bytes(fact("bytes")), "in all");
    card(grouped(fact("items")), "items, a sequence being one");
    card(grouped(fact("sequences")),
         fmt::format("sequences of {} files", grouped(fact("files_in_sequences"))));
    const int64_t missing = fact("missing_dependencies");
    card(grouped(missing), "missing files that others need", missing > 0 ? "bad" : "good");
    card(bytes(fact("duplicate_bytes")), "taken by copies", fact("duplicate_bytes") > 0 ? "warn" : "");
    put("</div>");
  }

  void types() {
    put("<section id=types><h2>By type</h2><p>Bytes, and how many files</p><div class=stack>");
    const json::array* types = base::find_array(facts_, "types");
    const double all = static_cast<double>(std::max<int64_t>(fact("bytes"), 1));
    auto each = [&](auto&& action) {
      if (!types) return;
      for (const json::value& value : *types) {
        const json::object& type = value.get_object();
        action(std::string(base::find_string(type, "type").value_or("")),
               base::find_int(type, "files").value_or(0), base::find_int(type, "bytes").value_or(0));
      }
    };
    each([&](const std::string& type, int64_t, int64_t size) {
      const double share = static_cast<double>(size) / all;
      if (share >= 0.002)
        put(fmt::format("<i style=\"flex:{:.4f};background:var(--{})\" title=\"{}: {}\"></i>", share,
                        color_of(type), html_text(type), bytes(size)));
    });
    put("</div><table><tr><th>Type<th class=n>Files<th class=n>Size<th class=n>Share</tr>");
    each([&](const std::string& type, int64_t files, int64_t size) {
      put(fmt::format(
          "<tr><td><span class=dot style=\"background:var(--{})\"></span>{}<td class=n>{}<td class=n>{}<td "
          "class=n>{:.1f} %</tr>",
          color_of(type), html_text(type), grouped(files), bytes(size),
          static_cast<double>(size) * 100 / all));
    });
    put("</table></section>");
  }

  struct Folder {
    int64_t files = 0, size = 0;
  };

  // The first two levels below what was scanned.
  void folders() {
    std::map<std::string, Folder> folders;
    Folder other;
    CatalogQuery query{
        {},
        "SELECT directory,count(*),CAST(sum(file_size) AS BIGINT) FROM files WHERE status<>'missing' "
        "GROUP BY directory ORDER BY directory",
        {}};
    for_each_row(connection_, query, 0, [&](const sql::Statement& row) {
      std::string_view path = row.text(0);
      std::string name;
      if (!root_.empty() && (std::string(path) + "/").starts_with(root_)) {
        path.remove_prefix(std::min(root_.size(), path.size()));
        size_t end = path.find('/');
        if (end != std::string_view::npos) end = path.find('/', end + 1);
        name = std::string(path.substr(0, end));
        if (name.empty()) name = ".";
      } else {
        name = std::string(path);
      }
      auto found = folders.find(name);
      if (found == folders.end() && folders.size() < kFoldersKept)
        found = folders.emplace(name, Folder()).first;
      Folder& folder = found == folders.end() ? other : found->second;
      folder.files += row.int64(1);
      folder.size += row.int64(2);
    });
    std::vector<std::pair<std::string, Folder>> sorted(folders.begin(), folders.end());
    std::sort(sorted.begin(), sorted.end(),
              [](const auto& a, const auto& b) { return a.second.size > b.second.size; });
    for (size_t i = kFolders; i < sorted.size(); ++i) {
      other.files += sorted[i].second.files;
      other.size += sorted[i].second.size;
    }
    const size_t left_out = sorted.size() > kFolders ? sorted.size() - kFolders : 0;
    sorted.resize(std::min(sorted.size(), kFolders));
    const double most =
        static_cast<double>(std::max<int64_t>(sorted.empty() ? 1 : sorted.front().second.size, 1));
    put(fmt::format(
        "<section id=folders><h2>Largest folders</h2><p>Below <span class=path>{}</span></p><table>"
        "<tr><th>Folder<th><th class=n>Files<th class=n>Size</tr>",
        html_text(root_)));
    for (const auto& [name, folder] : sorted) {
      put(
          fmt::format("<tr><td>{}<td style=\"width:26%\"><div class=bar style=\"margin-top:6px\"><i "
                      "style=\"width:{:.1f}%\"></i></div><td class=n>{}<td class=n>{}</tr>",
                      shown_path(name), static_cast<double>(folder.size) * 100 / most, grouped(folder.files),
                      bytes(folder.size)));
    }
    if (other.files > 0) {
      put(fmt::format("<tr><td class=dir>{} more<td><td class=n>{}<td class=n>{}</tr>",
                      grouped(static_cast<int64_t>(left_out)), grouped(other.files), bytes(other.size)));
    }
    put("</table></section>");
  }

  struct Month {
    std::string name;  // "2026-11"
    int64_t files = 0, size = 0;
  };

  std::vector<Month> months(int64_t& before) {
    std::map<std::string, Month> all;
    CatalogQuery query{
        {},
        "SELECT substr(CAST(modified_date AS TEXT),1,7),count(*),CAST(sum(file_size) AS BIGINT) FROM "
        "files WHERE status<>'missing' AND modified_date IS NOT NULL GROUP BY 1 ORDER BY 1",
        {}};
    for_each_row(connection_, query, 0, [&](const sql::Statement& row) {
      std::string name(row.text(0));
      if (name.size() == 7) all[name] = {name, row.int64(1), row.int64(2)};
    });
    std::vector<Month> months;
    if (all.empty()) return months;
    // Months without a file are there, too.
    auto number = [](const std::string& name) {
      return base::parse_number<int>(name.substr(0, 4)).value_or(0) * 12 +
             base::parse_number<int>(name.substr(5)).value_or(1) - 1;
    };
    const int last = number(all.rbegin()->first);
    const int first = std::max(number(all.begin()->first), last - static_cast<int>(kMonths) + 1);
    for (const auto& [name, month] : all)
      if (number(name) < first) before += month.size;
    for (int at = first; at <= last; ++at) {
      std::string name = fmt::format("{:04}-{:02}", at / 12, at % 12 + 1);
      auto found = all.find(name);
      months.push_back(found == all.end() ? Month{name, 0, 0} : found->second);
    }
    return months;
  }

  void timeline() {
    int64_t before = 0;
    const std::vector<Month> list = months(before);
    if (list.empty()) return;
    int64_t total = before, most = 1;
    for (const Month& month : list) {
      total += month.size;
      most = std::max(most, month.size);
    }
    constexpr double kWidth = 1080, kHeight = 220, kLeft = 74, kTop = 12, kBottom = 26;
    const double step = (kWidth - kLeft) / static_cast<double>(list.size()), high = kHeight - kTop - kBottom;
    auto y_of = [&](int64_t size, int64_t of) {
      return kTop + high - high * static_cast<double>(size) / static_cast<double>(std::max<int64_t>(of, 1));
    };
    put(fmt::format(
        "<section id=growth><h2>Growth</h2><p>What is there by the month of its last change: in all (line), "
        "and each month (bars, the highest is {})</p><svg viewBox=\"0 0 {} {}\" role=img "
        "aria-label=\"growth\">",
        bytes(most), kWidth, kHeight));
    for (int i = 0; i <= 4; ++i) {
      const int64_t value = total / 4 * i;
      put(
          fmt::format("<line class=grid x1={:.0f} x2={:.0f} y1={:.1f} y2={:.1f} /><text x={:.0f} y={:.1f} "
                      "text-anchor=end>{}</text>",
                      kLeft, kWidth, y_of(value, total), y_of(value, total), kLeft - 8,
                      y_of(value, total) + 4, bytes(value)));
    }
    const double thick = std::min(step * 0.7, 56.0);
    std::string line, bars, labels;
    int64_t sum = before;
    const size_t every = std::max<size_t>(1, list.size() / 12);
    for (size_t i = 0; i < list.size(); ++i) {
      const double x = kLeft + step * static_cast<double>(i);
      const double top = y_of(list[i].size, most * 2);  // bars in the lower half
      bars += fmt::format(
          "<rect class=month x={:.1f} y={:.1f} width={:.1f} height={:.1f} rx=2><title>{}: {} in {} "
          "files</title></rect>",
          x + (step - thick) / 2, top, thick, kTop + high - top, list[i].name, bytes(list[i].size),
          grouped(list[i].files));
      line += fmt::format("{}{:.1f},{:.1f}", i == 0 ? "" : " ", x, y_of(sum, total));
      sum += list[i].size;
      line += fmt::format(" {:.1f},{:.1f}", x + step, y_of(sum, total));
      if (i % every == 0)
        labels +=
            fmt::format("<text x={:.1f} y={} text-anchor=start>{}</text>", x + 2, kHeight - 8, list[i].name);
    }
    put(bars);
    put(
        fmt::format("<polygon class=area points=\"{:.1f},{:.1f} {} {:.1f},{:.1f}\" /><polyline class=lineup "
                    "points=\"{}\" />",
                    kLeft, kTop + high, line, kWidth, kTop + high, line));
    put(labels + "</svg></section>");
  }

  // The bytes behind a thumbnail's path; empty when there is none, or too much of it.
  std::string thumbnail(const std::string& place) {
    try {
      objects::Location where = objects::parse_location(workloads::storage_bytes(place));
      std::string folder, key = where.path;
      if (!where.is_s3) {
        const size_t slash = where.path.rfind('/');
        folder = slash == std::string::npos ? "." : where.path.substr(0, slash + 1);
        key = where.path.substr(slash == std::string::npos ? 0 : slash + 1);
        where.path = folder;
      } else {
        folder = "s3://" + where.bucket;
        where.path.clear();
      }
      if (folder != folder_ || !reader_) {
        reader_ = objects::open_reader(where);
        folder_ = folder;
      }
      const uint64_t size = reader_->head(key).size;
      if (size == 0 || size > kThumbnailMax) return "";
      std::string content(static_cast<size_t>(size), '\0');
      content.resize(reader_->read(key, 0, content.data(), content.size(), ""));
      return content;
    } catch (const base::Error& e) {
      if (thumbnail_problem_.empty()) thumbnail_problem_ = e.what();
      return "";
    }
  }

  static const char* mime_of(std::string_view content) {
    if (content.starts_with("\xff\xd8\xff")) return "image/jpeg";
    if (content.starts_with("\x89PNG")) return "image/png";
    if (content.starts_with("RIFF") && content.substr(8, 4) == "WEBP") return "image/webp";
    return nullptr;  // nothing else is put into the page
  }

  void gallery() {
    CatalogQuery query{
        {},
        "SELECT f.file_path,f.file_type,coalesce(i.thumbnail_path,v.thumbnail_path,b.thumbnail_path),"
        "coalesce(i.resolution_x,v.resolution_x,b.resolution_x),"
        "coalesce(i.resolution_y,v.resolution_y,b.resolution_y),f.file_size,s.pattern,s.frame_count FROM "
        "files f LEFT JOIN images i ON i.file_id=f.id LEFT JOIN videos v ON v.file_id=f.id LEFT JOIN "
        "blend_files b ON b.file_id=f.id LEFT JOIN sequences s ON s.id=f.sequence_id AND s.status='ok' "
        "WHERE coalesce(i.thumbnail_path,v.thumbnail_path,b.thumbnail_path) IS NOT NULL AND "
        "f.status<>'missing' AND (s.id IS NULL OR s.representative_file_id=f.id) ORDER BY "
        "f.modified_date DESC,f.file_path",
        {}};
    struct Entry {
      std::string path, type, place, text, pattern;
    };
    std::vector<Entry> entries;
    for_each_row(connection_, query, kThumbnails, [&](const sql::Statement& row) {
      Entry& entry = entries.emplace_back();
      entry.path = row.text(0);
      entry.type = row.text(1);
      entry.place = row.text(2);
      if (!row.is_null(3) && !row.is_null(4))
        entry.text = fmt::format("{} × {} · ", row.int64(3), row.int64(4));
      entry.text += row.is_null(7) ? bytes(row.int64(5)) : grouped(row.int64(7)) + " frames";
      if (!row.is_null(6)) entry.pattern = row.text(6);
    });
    size_t used = 0, shown = 0;
    for (const Entry& entry : entries) {
      const std::string content = thumbnail(entry.place);
      const char* mime = mime_of(content);
      if (mime == nullptr || used + content.size() > kThumbnailBytesMax) continue;
      if (shown++ == 0)
        put("<section id=newest><h2>Newest pictures, films and scenes</h2><p>By their last change</p><div "
            "class=gallery>");
      used += content.size();
      const std::string name =
          entry.pattern.empty() ? entry.path.substr(entry.path.rfind('/') + 1) : entry.pattern;
      put(fmt::format(
          "<figure title=\"{}\"><div><img alt=\"\" src=\"data:{};base64,{}\"></div><figcaption><span "
          "class=dot style=\"background:var(--{})\"></span>{}<small>{}</small></figcaption></figure>",
          html_text(entry.path), mime, base::base64(content), color_of(entry.type), html_text(name),
          html_text(entry.text)));
    }
    if (shown == 0) return;
    put("</div>");
    if (!thumbnail_problem_.empty())
      put("<p class=more>Some are missing: " + html_text(thumbnail_problem_) + "</p>");
    put("</section>");
  }

  // A list with a heading; says so when there is nothing wrong, and how to see what is left out.
  void list(const char* id, const char* heading, const char* about, const CatalogQuery& query,
            const char* columns, const char* nothing, const char* command,
            const std::function<std::string(const sql::Statement&)>& line) {
    put(fmt::format("<section id={}><h2>{}</h2>", id, heading));
    int64_t count = 0;
    for_each_row(connection_, query, kListRows, [&](const sql::Statement& row) {
      if (count++ == 0) put(fmt::format("<p>{}</p><div class=scroll><table><tr>{}</tr>", about, columns));
      put("<tr>" + line(row) + "</tr>\n");
    });
    if (count == 0) {
      put(fmt::format("<p class=ok>{}</p></section>", nothing));
      return;
    }
    put("</table></div>");
    if (count == kListRows) {
      const int64_t all = count_rows(connection_, query);
      if (all > count)
        put(fmt::format("<p class=more>… and {} more: <code>millrace catalog {}</code></p>",
                        grouped(all - count), command));
    }
    put("</section>");
  }

  static std::string text(const sql::Statement& row, int column) {
    return row.is_null(column) ? "" : html_text(row.text(column));
  }

  void missing() {
    list("missing", "Missing files", "Files that .blend files and other scenes name, and that are not there",
         missing_query(), "<th>Needed by<th>Kind<th>Path as it is written<th>Perhaps it is",
         "Everything that is needed is there.", "missing", [&](const sql::Statement& row) {
           return fmt::format("<td>{}<td><span class=pill>{}</span><td class=path>{}<td>{}",
                              shown_path(row.text(2)), text(row, 0), text(row, 4),
                              row.is_null(3) ? "" : shown_path(row.text(3)));
         });
  }

  void unreadable() {
    list("unreadable", "Unreadable files", "Broken, or read only in part", unreadable_query(),
         "<th>File<th>State<th class=n>Size<th>Why", "Everything could be read.", "unreadable",
         [&](const sql::Statement& row) {
           return fmt::format("<td>{}<td><span class=\"pill {}\">{}</span><td class=n>{}<td>{}",
                              shown_path(row.text(4)), row.text(0) == "broken" ? "bad" : "warn", text(row, 0),
                              bytes(row.int64(3)), text(row, 5));
         });
  }

  void sequences() {
    list("sequences", "Sequences with problems", "Holes, and frames that are not like the others",
         sequences_query(true),
         "<th>Sequence<th class=n>Frames<th class=n>Range<th class=n>Missing<th>Which, and what differs",
         "No sequence has holes or frames unlike the others.", "sequences --inconsistent",
         [&](const sql::Statement& row) {
           std::string what = text(row, 12);
           if (!row.is_null(13))
             what +=
                 (what.empty() ? "" : "<br>") + ("<span class=\"pill warn\">" + text(row, 13) + "</span>");
           return fmt::format("<td>{}<td class=n>{}<td class=n>{}–{}<td class=n>{}<td>{}",
                              shown_path(row.text(11)), grouped(row.int64(4)), row.int64(1), row.int64(2),
                              grouped(row.int64(5)), what);
         });
  }

  void duplicates() {
    list("duplicates", "Copies", "Equal files, those that waste most first", duplicates_query(false),
         "<th>One of them<th class=n>Copies<th class=n>Size of one<th class=n>Wasted",
         "No two files are known to be equal. <code>millrace scan --hash</code> compares their content.",
         "duplicates", [&](const sql::Statement& row) {
           return fmt::format("<td>{}<td class=n>{}<td class=n>{}<td class=n>{}", shown_path(row.text(4)),
                              grouped(row.int64(1)), bytes(row.int64(2)), bytes(row.int64(0)));
         });
  }

  void unused() {
    list("unused", "Unused files",
         "Pictures, films, sounds and caches that nothing in the catalogue needs, the largest first",
         unused_query(), "<th>File<th>Type<th class=n>Size<th class=n>Changed",
         "Every one of them is needed by something.", "unused", [&](const sql::Statement& row) {
           return fmt::format(
               "<td>{}<td><span class=dot style=\"background:var(--{})\"></span>{}<td class=n>{}<td "
               "class=n>{}",
               shown_path(row.text(3)), color_of(row.text(0)), text(row, 0), bytes(row.int64(1)),
               row.is_null(2) ? "" : html_text(row.text(2).substr(0, 10)));
         });
  }

  void distribution(const char* id, const char* heading, const char* sql) {
    constexpr int64_t kRows = 10;
    CatalogQuery query{{}, sql, {}};
    int64_t count = 0, most = 1;
    for_each_row(connection_, query, kRows,
                 [&](const sql::Statement& row) { most = std::max(most, row.int64(1)); });
    for_each_row(connection_, query, kRows, [&](const sql::Statement& row) {
      if (count++ == 0)
        put(fmt::format("<section id={}><h2>{}</h2><table><tr><th><th><th class=n>Files<th class=n>Size</tr>",
                        id, heading));
      put(
          fmt::format("<tr><td>{}<td style=\"width:30%\"><div class=bar style=\"margin-top:6px\"><i "
                      "style=\"width:{:.1f}%\"></i></div><td class=n>{}<td class=n>{}</tr>",
                      text(row, 0), static_cast<double>(row.int64(1)) * 100 / static_cast<double>(most),
                      grouped(row.int64(1)), bytes(row.int64(2))));
    });
    if (count > 0) put("</table></section>");
  }

  void scans() {
    constexpr int64_t kRows = 12;
    put("<section id=scans><h2>Scans</h2><div class=scroll><table><tr><th>Started<th>State<th>Of<th "
        "class=n>Files<th "
        "class=n>New<th class=n>Changed<th class=n>Vanished<th class=n>Errors<th class=n>Read</tr>");
    for_each_row(connection_, scans_query(), kRows, [&](const sql::Statement& row) {
      const std::string_view status = row.text(1);
      put(fmt::format(
          "<tr><td class=n style=\"text-align:left\">{}<td><span class=\"pill {}\">{}</span><td>{}<td "
          "class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}<td class=n>{}</tr>",
          html_text(row.text(2).substr(0, 16)),
          status == "complete"  ? "good"
          : status == "running" ? ""
          : status == "partial" ? "warn"
                                : "bad",
          html_text(status), path_cell(row.text(11), ""), grouped(row.int64(4)), grouped(row.int64(5)),
          grouped(row.int64(6)), grouped(row.int64(7)), grouped(row.int64(8)), bytes(row.int64(9))));
    });
    put("</table></div></section>");
  }

  sql::Connection& connection_;
  const std::string database_;
  std::string title_, root_;
  const std::string now_;
  objects::NewObject out_;
  json::object facts_;
  std::unique_ptr<objects::ObjectReader> reader_;  // of thumbnails, of the folder last asked for
  std::string folder_, thumbnail_problem_;
};

}  // namespace

void write_html_report(sql::Connection& connection, std::string_view database, const std::string& title,
                       const std::string& destination, const base::Clock& clock) {
  Page(connection, database, title, destination, clock).write();
}

}  // namespace millrace::scan
