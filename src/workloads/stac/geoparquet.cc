#include "workloads/stac/geoparquet.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/unique_fd.h"
#include "sql/duckdb.h"
#include "workloads/stac/geoparquet_metadata.h"
#include "workloads/stac/hilbert.h"
#include "workloads/stac/item_shape.h"
#include "workloads/stac/row_filler.h"

namespace millrace::stac {
namespace {

constexpr size_t kRowsPerCall = 512;      // what fits into the processor's cache: their texts are copied next
constexpr size_t kItemsPerClaim = 4'096;  // of the first pass
constexpr uint64_t kDuckDbBytes = 4ull
                                  << 30;  // more than it ever takes here; it would spill rather than fail
constexpr size_t kFooterRoom = 64;
// Memory grows with columns times rows of a group: files of more columns than this get smaller groups.
constexpr size_t kLeavesOfWholeGroups = 400;
constexpr size_t kLeavesOfOneThread = 2'000;
constexpr uint64_t kVectorRows = 2'048;
constexpr size_t kDictionaryEntries = 1'024;
constexpr size_t kDictionaryBytes = 64 << 10, kDictionaryBytesMin = 4 << 10;

// The first pass: what all items have. Sequential reads, each thread its own part.
ItemShape shape_of(const ItemStore& items, unsigned threads) {
  const auto records = items.records();
  std::atomic<size_t> next = 0;
  std::mutex mutex;
  ItemShape whole;
  std::exception_ptr error;
  const auto work = [&] {
    try {
      ItemShape shape;
      JsonTokens tokens;
      std::string line;
      for (;;) {
        const size_t begin = next.fetch_add(kItemsPerClaim);
        if (begin >= records.size()) break;
        for (const auto& record : records.subspan(begin, std::min(kItemsPerClaim, records.size() - begin))) {
          items.read(record, line, simdjson::SIMDJSON_PADDING);
          tokens.open(line);
          shape.add(tokens);
        }
      }
      std::lock_guard lock(mutex);
      whole.add_all_of(shape);
    } catch (...) {
      std::lock_guard lock(mutex);
      if (!error) error = std::current_exception();
      next = records.size();
    }
  };
  std::vector<std::jthread> others;
  for (unsigned i = 1; i < threads; ++i) others.emplace_back(work);
  work();
  others.clear();
  if (error) std::rethrow_exception(error);
  return whole;
}

uint64_t group_rows_of(const ItemSchema& schema) {
  const uint64_t rows =
      kRowGroupRows * kLeavesOfWholeGroups / std::max(schema.leaves(), kLeavesOfWholeGroups);
  return std::max(kVectorRows, rows / kVectorRows * kVectorRows);
}

size_t dictionary_bytes(const ItemSchema& schema) {
  return std::max(kDictionaryBytesMin,
                  kDictionaryBytes * kLeavesOfWholeGroups / std::max(schema.leaves(), kLeavesOfWholeGroups));
}

// What the table function and its threads share.
struct Rows {
  const ItemStore& items;
  const ItemSchema& schema;
  const std::vector<uint32_t>& order;
  unsigned threads;
  uint64_t group_rows;
  std::atomic<uint64_t> next_block = 0;
  std::mutex mutex;
  std::vector<std::shared_ptr<RowFiller>> fillers;  // whose facts are asked for in the end
  std::exception_ptr error;

  void fail(std::exception_ptr what) {
    std::lock_guard lock(mutex);
    if (!error) error = std::move(what);
  }
};

// A thread takes whole row groups: what it writes between two flushes are neighbours on the curve.
struct RowsOfThread {
  std::shared_ptr<RowFiller> filler;
  size_t at = 0, end = 0;
};

duckdb_logical_type type_of(const sql::DuckDbApi& api, const Column& column, bool box_has_z);

duckdb_logical_type struct_of(const sql::DuckDbApi& api, std::vector<duckdb_logical_type> types,
                              std::vector<const char*> names) {
  auto made = api.create_struct_type(types.data(), names.data(), types.size());
  for (auto& type : types) api.destroy_logical_type(&type);
  return made;
}

duckdb_logical_type type_of(const sql::DuckDbApi& api, const Column& column, bool box_has_z) {
  switch (column.type) {
    case ColumnType::kBool:
      return api.create_logical_type(DUCKDB_TYPE_BOOLEAN);
    case ColumnType::kInt:
      return api.create_logical_type(DUCKDB_TYPE_BIGINT);
    case ColumnType::kDouble:
      return api.create_logical_type(DUCKDB_TYPE_DOUBLE);
    case ColumnType::kText:
    case ColumnType::kJson:
      return api.create_logical_type(DUCKDB_TYPE_VARCHAR);
    case ColumnType::kTime:
      return api.create_logical_type(DUCKDB_TYPE_TIMESTAMP_TZ);
    case ColumnType::kGeometry:
      return api.create_logical_type(DUCKDB_TYPE_BLOB);
    case ColumnType::kBox: {
      std::vector<const char*> names = {"xmin", "ymin", "xmax", "ymax"};
      if (box_has_z) names = {"xmin", "ymin", "zmin", "xmax", "ymax", "zmax"};
      std::vector<duckdb_logical_type> types;
      for (size_t i = 0; i < names.size(); ++i) types.push_back(api.create_logical_type(DUCKDB_TYPE_DOUBLE));
      return struct_of(api, std::move(types), std::move(names));
    }
    case ColumnType::kList: {
      auto element = type_of(api, column.children[0], box_has_z);
      auto made = api.create_list_type(element);
      api.destroy_logical_type(&element);
      return made;
    }
    case ColumnType::kStruct:
      break;
  }
  std::vector<duckdb_logical_type> types;
  std::vector<const char*> names;
  for (const auto& child : column.children) {
    types.push_back(type_of(api, child, box_has_z));
    names.push_back(child.column.c_str());
  }
  return struct_of(api, std::move(types), std::move(names));
}

constexpr const char* kFunction = "millrace_items";

void bind_rows(duckdb_bind_info info) {
  const auto& api = sql::duckdb_api();
  const auto& rows = *static_cast<Rows*>(api.bind_get_extra_info(info));
  const auto add = [&](const std::string& name, duckdb_logical_type type) {
    api.bind_add_result_column(info, name.c_str(), type);
    api.destroy_logical_type(&type);
  };
  for (const auto* column : rows.schema.columns())
    add(column->column, type_of(api, *column, rows.schema.box_has_z));
  if (rows.schema.has_rest) add(std::string(kRestColumn), api.create_logical_type(DUCKDB_TYPE_VARCHAR));
  api.bind_set_cardinality(info, rows.order.size(), true);
}

void init_rows(duckdb_init_info info) {
  const auto& api = sql::duckdb_api();
  api.init_set_max_threads(info, static_cast<Rows*>(api.init_get_extra_info(info))->threads);
}

void init_thread(duckdb_init_info info) {
  const auto& api = sql::duckdb_api();
  auto& rows = *static_cast<Rows*>(api.init_get_extra_info(info));
  try {
    auto mine = std::make_unique<RowsOfThread>();
    mine->filler = std::make_shared<RowFiller>(rows.schema, rows.items, kRowsPerCall);
    {
      std::lock_guard lock(rows.mutex);
      rows.fillers.push_back(mine->filler);
    }
    api.init_set_init_data(info, mine.release(), [](void* p) { delete static_cast<RowsOfThread*>(p); });
  } catch (...) {
    rows.fail(std::current_exception());
    api.init_set_error(info, "no memory for a thread");
  }
}

void fill_rows(duckdb_function_info info, duckdb_data_chunk chunk) {
  const auto& api = sql::duckdb_api();
  auto& rows = *static_cast<Rows*>(api.function_get_extra_info(info));
  auto& mine = *static_cast<RowsOfThread*>(api.function_get_local_init_data(info));
  const ItemRecord* record = nullptr;
  try {
    if (mine.at == mine.end) {
      mine.at = std::min<size_t>(rows.next_block.fetch_add(1) * rows.group_rows, rows.order.size());
      mine.end = std::min<size_t>(mine.at + rows.group_rows, rows.order.size());
    }
    mine.filler->begin(chunk);
    const size_t end = std::min(mine.end, mine.at + kRowsPerCall);
    for (; mine.at < end; ++mine.at) {
      record = &rows.items.records()[rows.order[mine.at]];
      mine.filler->add(*record);
    }
    mine.filler->end();
  } catch (const base::CorruptError& e) {
    std::string id;
    if (record) {
      std::string line;
      rows.items.read(*record, line);
      id = line.substr(record->id_offset, record->id_length);
    }
    rows.fail(std::make_exception_ptr(base::CorruptError("item " + id + ": " + e.what(), e.code())));
    api.function_set_error(info, e.what());
  } catch (const std::exception& e) {
    rows.fail(std::current_exception());
    api.function_set_error(info, e.what());
  }
}

void register_rows(const sql::DuckDb& database, Rows& rows) {
  const auto& api = database.api();
  auto function = api.create_table_function();
  api.table_function_set_name(function, kFunction);
  api.table_function_set_extra_info(function, &rows, nullptr);
  api.table_function_set_bind(function, bind_rows);
  api.table_function_set_init(function, init_rows);
  api.table_function_set_local_init(function, init_thread);
  api.table_function_set_function(function, fill_rows);
  const auto state = api.register_table_function(database.connection(), function);
  api.destroy_table_function(&function);
  if (state != DuckDBSuccess) throw base::InternalError("DuckDB does not take a table function");
}

void read_fully(int fd, char* to, size_t length, uint64_t offset, const std::string& path) {
  while (length > 0) {
    const ssize_t n = pread(fd, to, length, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) throw base::TransientError(base::system_message("read " + path, n < 0 ? errno : EIO));
    to += n, offset += static_cast<uint64_t>(n), length -= static_cast<size_t>(n);
  }
}

// Names of the collections that have items, in the place of their number; empty for others.
std::vector<std::string> used_collections(const ItemStore& items) {
  std::vector<std::string> used(items.collections().size());
  for (const auto& record : items.records())
    if (used[record.collection].empty()) used[record.collection] = items.collection_of(record);
  return used;
}

class Writing {
 public:
  Writing(const ItemStore& items, const GeoParquetOptions& options, const objects::NewObject& out)
      : items_(items),
        options_(options),
        path_(out.path_to_fill()),
        shown_(out.shown()),
        collections_(used_collections(items)),
        order_(hilbert_order(items.records())) {}

  // Throws Misfit when the schema is not that of the items.
  WriteReport write(const ItemSchema& schema);

 private:
  void run(sql::DuckDb& database, const std::string& copy, Rows& rows) const;
  void fill_footer(const ItemSchema& schema, const RowFacts& facts) const;

  const ItemStore& items_;
  const GeoParquetOptions& options_;
  std::string path_, shown_;
  std::vector<std::string> collections_;
  std::vector<uint32_t> order_;
  std::optional<FooterText> geo_, stac_, mapping_;
};

void Writing::run(sql::DuckDb& database, const std::string& copy, Rows& rows) const {
  try {
    database.execute(copy);
  } catch (const base::TransientError& e) {
    if (rows.error) std::rethrow_exception(rows.error);
    // Nobody knows the file by the name that DuckDB has for it.
    std::string message = e.what();
    if (const size_t at = message.find(path_); at != std::string::npos)
      message.replace(at, path_.size(), shown_);
    throw base::TransientError(message);
  } catch (const base::Error&) {
    // What a callback threw says more than DuckDB's words for it.
    if (rows.error) std::rethrow_exception(rows.error);
    throw;
  }
}

WriteReport Writing::write(const ItemSchema& schema) {
  const unsigned threads = schema.leaves() > kLeavesOfOneThread ? 1 : std::max(1u, options_.threads);
  Rows rows{items_, schema, order_, threads, group_rows_of(schema), {}, {}, {}, {}};
  const RowFacts longest = longest_facts(schema, collections_.size());
  geo_.emplace(geo_metadata(schema, longest).size() + kFooterRoom);
  stac_.emplace(stac_metadata(collections_, longest, options_.collections).size() + kFooterRoom);
  mapping_.emplace(mapping_metadata(schema, longest).size() + kFooterRoom);

  sql::DuckDb database({.memory_bytes = kDuckDbBytes,
                        .threads = threads,
                        .temporary_folder = options_.temporary_folder,
                        .preserve_insertion_order = false,
                        .keep_no_freed_memory = true});
  register_rows(database, rows);
  // Without the limit in bytes DuckDB ends a row group after 1 KiB a row; without those of dictionaries it
  // keeps 1 MiB for each column.
  std::string scopes;
  if (!options_.scopes.empty())
    scopes = fmt::format(", \"{}\": {}", kScopesKey, sql::duckdb_literal(scopes_text(options_.scopes)));
  const std::string copy = fmt::format(
      "COPY (SELECT * FROM {}()) TO {} (FORMAT parquet, USE_TMP_FILE false, COMPRESSION zstd, "
      "COMPRESSION_LEVEL 6, "
      "ROW_GROUP_SIZE {}, ROW_GROUP_SIZE_BYTES '64GB', DICTIONARY_SIZE_LIMIT {}, "
      "STRING_DICTIONARY_PAGE_SIZE_LIMIT {}, KV_METADATA {{geo: {}, \"stac-geoparquet\": {}, {}: {}{}}})",
      kFunction, sql::duckdb_literal(path_), rows.group_rows, kDictionaryEntries, dictionary_bytes(schema),
      sql::duckdb_literal(geo_->placeholder()), sql::duckdb_literal(stac_->placeholder()), kMappingKey,
      sql::duckdb_literal(mapping_->placeholder()), scopes);
  run(database, copy, rows);
  RowFacts facts;
  for (const auto& filler : rows.fillers) facts.add(filler->facts());
  fill_footer(schema, facts);

  auto written =
      database.query("SELECT num_rows::BIGINT, num_row_groups::BIGINT FROM parquet_file_metadata(" +
                     sql::duckdb_literal(path_) + ")");
  const auto chunk = written.next();
  WriteReport report;
  const auto number = [&](idx_t column) {
    return static_cast<const uint64_t*>(
        database.api().vector_get_data(database.api().data_chunk_get_vector(chunk, column)))[0];
  };
  report.rows = number(0);
  report.row_groups = number(1);
  report.bytes = std::filesystem::file_size(path_);
  const uint64_t groups = (order_.size() + rows.group_rows - 1) / rows.group_rows;
  if (report.rows != order_.size() || report.row_groups != groups)
    throw base::InternalError(fmt::format("{} items in {} row groups became {} rows in {}", order_.size(),
                                          groups, report.rows, report.row_groups));
  return report;
}

void Writing::fill_footer(const ItemSchema& schema, const RowFacts& facts) const {
  const base::UniqueFd fd(open(path_.c_str(), O_RDWR | O_CLOEXEC));
  struct stat status;
  if (!fd || fstat(fd.get(), &status) != 0)
    throw base::TransientError(base::system_message("open " + shown_, errno));
  // The file ends in the footer's length and "PAR1".
  const auto size = static_cast<uint64_t>(status.st_size);
  std::array<char, 8> tail;
  if (size < 12) throw base::InternalError("DuckDB wrote no Parquet file");
  read_fully(fd.get(), tail.data(), tail.size(), size - tail.size(), shown_);
  uint32_t length = 0;
  std::memcpy(&length, tail.data(), sizeof length);
  if (length > size - 12) throw base::InternalError("DuckDB wrote a Parquet file without a footer");
  std::string footer(length, '\0');
  const uint64_t at = size - tail.size() - length;
  read_fully(fd.get(), footer.data(), length, at, shown_);
  geo_->replace(fd.get(), at, footer, geo_metadata(schema, facts));
  stac_->replace(fd.get(), at, footer, stac_metadata(collections_, facts, options_.collections));
  mapping_->replace(fd.get(), at, footer, mapping_metadata(schema, facts));
}

}  // namespace

WriteReport write_geoparquet(const ItemStore& items, const GeoParquetOptions& options,
                             objects::NewObject& out) {
  Writing writing(items, options, out);
  const auto attempt = [&](const ItemShape& shape) {
    ItemSchema schema = shape.schema();
    schema.root.index();
    return writing.write(schema);
  };
  std::vector<std::string> used = used_collections(items);
  std::erase(used, "");
  WriteReport report;
  std::string misfit = "no HLS";
  if (is_hls(used)) {
    misfit.clear();
    try {
      report = attempt(hls_shape());
    } catch (const Misfit& e) {
      misfit = e.what();
    }
  }
  if (!misfit.empty()) {
    ItemShape shape = is_hls(used) ? hls_shape() : ItemShape();
    shape.add_all_of(shape_of(items, std::max(1u, options.threads)));
    try {
      report = attempt(shape);
    } catch (const Misfit& e) {
      throw base::CorruptError(std::string("an item changed between two readings: ") + e.what(),
                               "ItemChanged");
    }
    if (is_hls(used)) report.misfit = misfit;
  }
  return report;
}

}  // namespace millrace::stac
