#include "sql/duckdb.h"

#include <memory>
#include <string>

#include "base/error.h"

namespace millrace::sql {
namespace {

[[noreturn]] void fail(duckdb_error_type type, const char* text) {
  const std::string message = std::string("DuckDB: ") + (text && *text ? text : "failed without a reason");
  switch (type) {
    case DUCKDB_ERROR_OUT_OF_MEMORY:
    case DUCKDB_ERROR_IO:
    case DUCKDB_ERROR_INTERRUPT:
    case DUCKDB_ERROR_NETWORK:
    case DUCKDB_ERROR_CONNECTION:
      throw base::TransientError(message);
    case DUCKDB_ERROR_CONSTRAINT:
    case DUCKDB_ERROR_TRANSACTION:
      throw base::ConflictError(message);
    case DUCKDB_ERROR_PERMISSION:
      throw base::DeniedError(message);
    case DUCKDB_ERROR_OUT_OF_RANGE:
    case DUCKDB_ERROR_CONVERSION:
    case DUCKDB_ERROR_MISMATCH_TYPE:
    case DUCKDB_ERROR_INVALID_INPUT:
    case DUCKDB_ERROR_SERIALIZATION:
      throw base::CorruptError(message);
    case DUCKDB_ERROR_PARSER:
    case DUCKDB_ERROR_SYNTAX:
    case DUCKDB_ERROR_BINDER:
    case DUCKDB_ERROR_CATALOG:
    case DUCKDB_ERROR_SETTINGS:
      throw base::UsageError(message);
    default:
      throw base::InternalError(message);
  }
}

[[noreturn]] void fail_of(const DuckDbApi& api, duckdb_result& result) {
  const auto type = api.result_error_type(&result);
  const char* text = api.result_error(&result);
  const std::string kept = text ? text : "";
  api.destroy_result(&result);
  fail(type, kept.c_str());
}

std::string megabytes(uint64_t bytes) { return std::to_string(bytes / 1'000'000) + "MB"; }

}  // namespace

DuckDbResult::DuckDbResult(DuckDbResult&& other) noexcept
    : result_(other.result_), chunk_(other.chunk_), moved_(other.moved_) {
  other.moved_ = true;
  other.chunk_ = nullptr;
}

DuckDbResult::~DuckDbResult() {
  if (chunk_) duckdb_api().destroy_data_chunk(&chunk_);
  if (!moved_) duckdb_api().destroy_result(&result_);
}

idx_t DuckDbResult::columns() { return duckdb_api().column_count(&result_); }

std::string_view DuckDbResult::column_name(idx_t column) {
  return duckdb_api().column_name(&result_, column);
}

duckdb_type DuckDbResult::column_type(idx_t column) { return duckdb_api().column_type(&result_, column); }

int64_t DuckDbResult::rows_changed() { return static_cast<int64_t>(duckdb_api().rows_changed(&result_)); }

duckdb_data_chunk DuckDbResult::next() {
  const auto& api = duckdb_api();
  if (chunk_) api.destroy_data_chunk(&chunk_);
  chunk_ = api.fetch_chunk(result_);
  if (!chunk_) {
    // The end and an error on the way both give none.
    if (const char* text = api.result_error(&result_)) fail(api.result_error_type(&result_), text);
  }
  return chunk_;
}

std::optional<std::string> DuckDbResult::text() {
  const auto& api = duckdb_api();
  const auto chunk = next();
  if (!chunk || api.data_chunk_get_size(chunk) == 0) return std::nullopt;
  const auto vector = api.data_chunk_get_vector(chunk, 0);
  const auto* validity = api.vector_get_validity(vector);
  if (validity && !(validity[0] & 1)) return std::nullopt;
  return std::string(duckdb_bytes(*static_cast<const duckdb_string_t*>(api.vector_get_data(vector))));
}

int64_t DuckDbResult::int64() {
  const auto& api = duckdb_api();
  const auto chunk = next();
  if (!chunk || api.data_chunk_get_size(chunk) == 0) return 0;
  const auto vector = api.data_chunk_get_vector(chunk, 0);
  const auto* validity = api.vector_get_validity(vector);
  if (validity && !(validity[0] & 1)) return 0;
  return *static_cast<const int64_t*>(api.vector_get_data(vector));
}

DuckDb::DuckDb(const DuckDbOptions& options) : api_(duckdb_api()) {
  duckdb_config config = nullptr;
  if (api_.create_config(&config) != DuckDBSuccess) throw base::InternalError("DuckDB: no configuration");
  const auto set = [&](const char* name, const std::string& value) {
    if (api_.set_config(config, name, value.c_str()) == DuckDBSuccess) return;
    api_.destroy_config(&config);
    throw base::InternalError(std::string("DuckDB does not know the setting ") + name);
  };
  set("autoinstall_known_extensions", "false");
  set("autoload_known_extensions", "false");
  set("allow_community_extensions", "false");
  set("memory_limit", megabytes(options.memory_bytes));
  set("temp_directory", options.temporary_folder);
  set("preserve_insertion_order", options.preserve_insertion_order ? "true" : "false");
  if (options.threads) set("threads", std::to_string(options.threads));
  if (options.read_only) set("access_mode", "READ_ONLY");
  // Its allocator gives memory back before an allocation larger than this. Smaller limits make it fetch the
  // same pages from the system again and again.
  if (options.keep_no_freed_memory) set("allocator_bulk_deallocation_flush_threshold", "8MB");
  char* reason = nullptr;
  const auto opened =
      api_.open_ext(options.path.empty() ? nullptr : options.path.c_str(), &database_, config, &reason);
  api_.destroy_config(&config);
  if (opened != DuckDBSuccess) {
    const std::string text = reason ? reason : "";
    if (reason) api_.free(reason);
    const std::string message = "DuckDB cannot open " + options.path + ": " + text;
    if (text.find("lock") != std::string::npos) throw base::ConflictError(message);
    if (text.find("not a valid DuckDB") != std::string::npos) throw base::CorruptError(message);
    throw base::NotFoundError(message);
  }
  if (api_.connect(database_, &connection_) != DuckDBSuccess) {
    api_.close(&database_);
    throw base::InternalError("DuckDB: no connection to " + options.path);
  }
  execute("SET TimeZone = 'UTC'");
  if (options.geometry_as_wkb) execute("SET enable_geoparquet_conversion = false");
  execute("SET lock_configuration = true");
}

DuckDb::~DuckDb() {
  api_.disconnect(&connection_);
  api_.close(&database_);
}

void DuckDb::execute(std::string_view sql) { query(sql); }

DuckDbResult DuckDb::query(std::string_view sql) {
  duckdb_result result;
  if (api_.query(connection_, std::string(sql).c_str(), &result) != DuckDBSuccess) fail_of(api_, result);
  return DuckDbResult(result);
}

DuckDbResult DuckDb::stream(std::string_view sql) {
  duckdb_prepared_statement statement = nullptr;
  const auto destroy_statement = [&](duckdb_prepared_statement* p) { api_.destroy_prepare(p); };
  const auto prepared = api_.prepare(connection_, std::string(sql).c_str(), &statement);
  const std::unique_ptr<duckdb_prepared_statement, decltype(destroy_statement)> owned(&statement,
                                                                                      destroy_statement);
  if (prepared != DuckDBSuccess) {
    const std::string text = api_.prepare_error(statement);
    fail(text.starts_with("IO Error")                                          ? DUCKDB_ERROR_IO
         : text.starts_with("Invalid Input") || text.starts_with("Conversion") ? DUCKDB_ERROR_INVALID_INPUT
                                                                               : DUCKDB_ERROR_BINDER,
         text.c_str());
  }
  duckdb_pending_result pending = nullptr;
  const auto started = api_.pending_prepared_streaming(statement, &pending);
  const auto destroy_pending = [&](duckdb_pending_result* p) { api_.destroy_pending(p); };
  const std::unique_ptr<duckdb_pending_result, decltype(destroy_pending)> owned_pending(&pending,
                                                                                        destroy_pending);
  if (started != DuckDBSuccess) fail(DUCKDB_ERROR_INVALID, api_.pending_error(pending));
  duckdb_result result;
  if (api_.execute_pending(pending, &result) != DuckDBSuccess) fail_of(api_, result);
  return DuckDbResult(result);
}

std::string duckdb_literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) {
    out += c;
    if (c == '\'') out += c;
  }
  return out += '\'';
}

std::string duckdb_identifier(std::string_view name) {
  std::string out = "\"";
  for (const char c : name) {
    out += c;
    if (c == '"') out += c;
  }
  return out += '"';
}

std::string_view duckdb_bytes(const duckdb_string_t& cell) {
  if (cell.value.inlined.length <= 12) return {cell.value.inlined.inlined, cell.value.inlined.length};
  return {cell.value.pointer.ptr, cell.value.pointer.length};
}

}  // namespace millrace::sql
