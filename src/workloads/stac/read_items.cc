#include <memory>
#include <vector>

#include "base/json.h"
#include "sql/duckdb.h"
#include "workloads/stac/geoparquet.h"
#include "workloads/stac/item_schema.h"
#include "workloads/stac/local_parquet.h"
#include "workloads/stac/row_text.h"

namespace millrace::stac {

void read_items(const objects::Location& parquet, const std::function<void(std::string_view item)>& visit) {
  const LocalParquet file(parquet, {});
  // Pages of every column at once: files of thousands of columns need more than others.
  sql::DuckDb database({.memory_bytes = 4ull << 30, .threads = 1, .geometry_as_wkb = true});
  const auto mapping = file_text(database, file.path(), kMappingKey);
  base::json::value parsed;
  if (mapping) parsed = base::parse_json(*mapping);
  // Without that word folders (year=2024/month=06) are columns, and a merge would write them into its file.
  auto rows = database.stream("SELECT * FROM read_parquet(" + sql::duckdb_literal(file.path()) +
                              ", hive_partitioning = false)");
  const auto& api = database.api();
  std::vector<std::string> names;
  std::vector<duckdb_logical_type> types;
  for (idx_t i = 0; i < rows.columns(); ++i) {
    names.emplace_back(rows.column_name(i));
    types.push_back(api.column_logical_type(rows.get(), i));
  }
  const auto destroy = [&] {
    for (auto& type : types) api.destroy_logical_type(&type);
  };
  std::unique_ptr<RowText> text;
  try {
    text = std::make_unique<RowText>(names, types, parsed.is_object() ? &parsed.get_object() : nullptr);
  } catch (...) {
    destroy();
    throw;
  }
  destroy();
  while (const auto chunk = rows.next()) {
    text->begin(chunk);
    const idx_t count = api.data_chunk_get_size(chunk);
    for (idx_t row = 0; row < count; ++row) visit(text->item(row));
  }
}

}  // namespace millrace::stac
