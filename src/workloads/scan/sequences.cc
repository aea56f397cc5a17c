#include "workloads/scan/sequences.h"

#include <memory>
#include <string>
#include <vector>

#include "workloads/text.h"

namespace millrace::scan {
namespace {

constexpr int64_t kPage = 2000;

// Types and extensions that come frame by frame.
bool may_be_frame(std::string_view type, std::string_view extension) {
  if (type == "image" || type == "cache") return true;
  for (std::string_view known : {".obj", ".ply", ".stl", ".usd", ".usda", ".usdc", ".abc", ".vdb", ".bgeo",
                                 ".geo", ".bphys", ".sim", ".pdb", ".dat", ".bobj", ".uni", ".ass", ".rib"})
    if (extension == known) return true;
  return false;
}

struct Row {
  FrameMember member;
  std::string folder, name;
  int64_t size = 0;
  bool may_be_frame = false, fresh = false;
};

class Pass {
 public:
  Pass(sql::Connection& connection, const ScanContext& context, const PathRange& range,
       const SequenceRules& rules, int64_t scan_id, int64_t fresh_from)
      : connection_(connection),
        context_(context),
        range_(range),
        scan_id_(scan_id),
        fresh_from_(fresh_from),
        finder_(
            rules, store_, [this](const FoundSequence& found) { keep(found); },
            [this](const FrameMember& member) { alone(member); }) {
    // As folders stand in the table: without a '/' at their end.
    first_folder_ = range_.first.substr(0, range_.first.size() - 1);
    const std::string bytewise = connection.dialect() == sql::Dialect::kPostgresql ? " COLLATE \"C\"" : "";
    const std::string folder = "directory" + bytewise, name = "file_name" + bytewise;
    page_ = connection.prepare(
        "SELECT "
        "id,directory,file_name,file_type,extension,file_size,sequence_id,frame,read_scan_id,file_path FROM "
        "files WHERE (" +
        folder + "," + name + ")>($1,$2) AND " + folder + "<$3 AND status<>'missing' ORDER BY " + folder +
        "," + name + " LIMIT $4");
    page_->bind(3, range_.end).bind(4, kPage);
    known_ = connection.prepare(
        "SELECT id,frame_count,first_frame,last_frame FROM sequences WHERE directory=$1 AND head=$2 AND "
        "tail=$3 AND "
        "padding=$4");
    insert_ = connection.prepare(
        "INSERT INTO "
        "sequences(storage,bucket,directory,head,tail,padding,pattern,status,first_frame,last_frame,step,"
        "frame_count,missing_count,total_bytes,min_bytes,max_bytes,consistent,is_udim,scan_id) VALUES "
        "($1,$2,$3,$4,$5,$6,'','ok',0,0,1,0,0,0,0,0,TRUE,FALSE,$7) ON CONFLICT(directory,head,tail,padding) "
        "DO UPDATE "
        "SET status='ok' RETURNING id");
    update_ = connection.prepare(
        "UPDATE sequences SET pattern=$1,status='ok',first_frame=$2,last_frame=$3,step=$4,frame_count=$5,"
        "missing_count=$6,missing_frames=$7,total_bytes=$8,min_bytes=$9,max_bytes=$10,representative_file_id="
        "$11,"
        "is_udim=$12,scan_id=$13 WHERE id=$14");
    member_ = connection.prepare("UPDATE files SET sequence_id=$1,frame=$2 WHERE id=$3");
    facts_ = connection.prepare(
        "SELECT count(DISTINCT f.format),count(DISTINCT i.resolution_x*100000+i.resolution_y),"
        "count(DISTINCT i.pixel_type),count(DISTINCT i.channels),count(DISTINCT i.compression),"
        "count(DISTINCT i.color_space),sum(CASE WHEN f.status IN ('broken','partial') THEN 1 ELSE 0 END),"
        "sum(CASE WHEN f.file_size=0 THEN 1 ELSE 0 "
        "END),min(i.resolution_x),min(i.resolution_y),max(i.resolution_x),"
        "max(i.resolution_y),max(f.format),max(f.file_type),max(f.extension),max(CAST(f.modified_date AS "
        "TEXT)) "
        "FROM files f LEFT JOIN images i ON i.file_id=f.id WHERE f.sequence_id=$1 AND f.status<>'missing'");
    describe_ = connection.prepare(
        "UPDATE sequences SET "
        "consistent=$1,differences=$2,resolution_x=$3,resolution_y=$4,format=$5,file_type=$6,"
        "extension=$7,modified_date=$8 WHERE id=$9");
  }

  void run(const std::atomic<bool>& stop) {
    std::string folder = first_folder_, name;
    bool begun = false;
    for (std::vector<Row> rows = next_page(folder, name); !rows.empty() && !stop;
         rows = next_page(folder, name)) {
      sql::Transaction transaction(connection_);
      for (const Row& row : rows) {
        if (begun && row.folder != folder_) finder_.end();
        begun = true;
        folder_ = row.folder;
        finder_.add({row.member, row.name, row.size, row.may_be_frame, row.fresh});
      }
      transaction.commit();
    }
    sql::Transaction transaction(connection_);
    finder_.end();
    if (!stop) end_vanished();
    transaction.commit();
  }

 private:
  std::vector<Row> next_page(std::string& folder, std::string& name) {
    std::vector<Row> rows;
    for (bool more = true; more && rows.empty();) {
      more = false;
      page_->bind(1, folder).bind(2, name);
      while (page_->step()) {
        more = true;
        folder = page_->text(1);
        name = page_->text(2);
        if (!page_->text(9).starts_with(range_.first))
          continue;  // "/a/root-2" stands between "/a/root" and "/a/root/x"
        Row& row = rows.emplace_back();
        row.member.id = page_->int64(0);
        row.folder = folder;
        row.name = name;
        row.may_be_frame = may_be_frame(page_->text(3), page_->is_null(4) ? "" : page_->text(4));
        row.size = page_->int64(5);
        if (!page_->is_null(6)) row.member.old_sequence = page_->int64(6);
        if (!page_->is_null(7)) row.member.old_frame = page_->int64(7);
        row.fresh = page_->is_null(8) || page_->int64(8) >= fresh_from_;
      }
    }
    return rows;
  }

  void keep(const FoundSequence& found) {
    int64_t id = 0;
    bool same = false;
    known_->bind(1, folder_).bind(2, found.head).bind(3, found.tail).bind(4, found.padding);
    if (known_->step()) {
      id = known_->int64(0);
      same = known_->int64(1) == found.count && known_->int64(2) == found.first &&
             known_->int64(3) == found.last;
    }
    known_->reset();
    if (id == 0) {
      insert_->bind(1, context_.storage);
      context_.bucket.empty() ? insert_->bind_null(2) : insert_->bind(2, context_.bucket);
      insert_->bind(3, folder_)
          .bind(4, found.head)
          .bind(5, found.tail)
          .bind(6, found.padding)
          .bind(7, scan_id_);
      insert_->step();
      id = insert_->int64(0);
      insert_->reset();
    }
    // The frame in the middle stands for all.
    const int64_t middle = found.first + (found.last - found.first) / 2;
    int64_t representative = 0, distance = INT64_MAX;
    store_.for_each(*found.members, [&](const FrameMember& member) {
      const int64_t from_middle = member.frame < middle ? middle - member.frame : member.frame - middle;
      if (from_middle < distance || (from_middle == distance && member.id < representative)) {
        distance = from_middle;
        representative = member.id;
      }
      if (member.old_sequence == id && member.old_frame == member.frame) return;
      same = false;
      member_->bind(1, id).bind(2, member.frame).bind(3, member.id).run();
    });
    update_->bind(1, found.pattern).bind(2, found.first).bind(3, found.last).bind(4, found.step);
    update_->bind(5, found.count).bind(6, found.missing_count);
    found.missing_frames.empty() ? update_->bind_null(7) : update_->bind(7, found.missing_frames);
    update_->bind(8, found.total_bytes).bind(9, found.min_bytes).bind(10, found.max_bytes);
    update_->bind(11, representative).bind(12, int64_t{found.is_udim}).bind(13, scan_id_).bind(14, id).run();
    if (!same || found.fresh) describe(id, found.is_udim);
  }

  // What all frames of a sequence are, and in what they differ. Tiles of a texture may have any size.
  void describe(int64_t id, bool is_udim) {
    facts_->bind(1, id);
    if (!facts_->step()) return;
    std::string differences;
    auto add = [&](const std::string& what) { differences += (differences.empty() ? "" : "; ") + what; };
    if (facts_->int64(0) > 1) add(std::to_string(facts_->int64(0)) + " formats");
    if (facts_->int64(1) > 1 && !is_udim) {
      add(std::to_string(facts_->int64(1)) + " resolutions from " + std::string(facts_->text(8)) + "x" +
          std::string(facts_->text(9)) + " to " + std::string(facts_->text(10)) + "x" +
          std::string(facts_->text(11)));
    }
    static constexpr const char* kWhat[] = {"pixel types", "numbers of channels", "compressions",
                                            "colour spaces"};
    for (int i = 0; i < 4; ++i)
      if (facts_->int64(2 + i) > 1) add(std::to_string(facts_->int64(2 + i)) + " " + kWhat[i]);
    if (facts_->int64(6) > 0) add(std::to_string(facts_->int64(6)) + " unreadable");
    if (facts_->int64(7) > 0) add(std::to_string(facts_->int64(7)) + " empty");
    describe_->bind(1, int64_t{differences.empty()});
    differences.empty() ? describe_->bind_null(2) : describe_->bind(2, differences);
    static constexpr int kColumns[] = {10, 11, 12, 13, 14, 15};
    for (int i = 0; i < 6; ++i) {
      facts_->is_null(kColumns[i]) ? describe_->bind_null(3 + i)
                                   : describe_->bind(3 + i, facts_->text(kColumns[i]));
    }
    facts_->reset();
    describe_->bind(9, id).run();
  }

  void alone(const FrameMember& member) {
    if (member.old_sequence == 0) return;
    member_->bind_null(1).bind_null(2).bind(3, member.id).run();
  }

  // Sequences of which this pass found nothing.
  void end_vanished() {
    auto end = connection_.prepare(
        "UPDATE sequences SET status='missing' WHERE scan_id<$1 AND status='ok' AND (directory=$2 OR "
        "(directory>=$3 "
        "AND directory<$4))");
    end->bind(1, scan_id_).bind(2, first_folder_).bind(3, range_.first).bind(4, range_.end).run();
  }

  sql::Connection& connection_;
  const ScanContext& context_;
  const PathRange& range_;
  const int64_t scan_id_, fresh_from_;
  std::string first_folder_, folder_;
  FrameStore store_;
  SequenceFinder finder_;
  std::unique_ptr<sql::Statement> page_, known_, insert_, update_, member_, facts_, describe_;
};

// The rules that the sequences of this root were found by the last time.
bool same_rules_as_last_time(sql::Connection& connection, const ScanContext& context,
                             const std::string& rules) {
  auto query = connection.prepare(
      "SELECT rules FROM scans WHERE root=$1 AND status IN ('complete','partial') AND rules IS NOT NULL "
      "ORDER BY id "
      "DESC LIMIT 1");
  query->bind(1, workloads::storage_text(context.root));
  return query->step() && query->text(0) == rules;
}

}  // namespace

int64_t find_sequences(sql::Connection& connection, const ScanContext& context, const PathRange& range,
                       const SequenceRules& rules, bool changed, int64_t scan_id, int64_t fresh_from,
                       const std::atomic<bool>& stop) {
  if (changed || !same_rules_as_last_time(connection, context, rules.text())) {
    Pass(connection, context, range, rules, scan_id, fresh_from).run(stop);
  }
  const std::string first_folder = range.first.substr(0, range.first.size() - 1);
  auto count = connection.prepare(
      "SELECT count(*) FROM sequences WHERE status='ok' AND (directory=$1 OR (directory>=$2 AND "
      "directory<$3))");
  count->bind(1, first_folder).bind(2, range.first).bind(3, range.end);
  return count->step() ? count->int64(0) : 0;
}

void mark_udims(sql::Connection& connection) {
  connection.execute(
      "UPDATE sequences SET is_udim=TRUE WHERE NOT is_udim AND id IN (SELECT f.sequence_id FROM dependencies "
      "d JOIN "
      "files f ON f.id=d.resolved_file_id WHERE d.kind='udim' AND f.sequence_id IS NOT NULL)");
}

}  // namespace millrace::scan
