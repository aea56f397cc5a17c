#include "workloads/load/plan.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/strings.h"

namespace millrace::load {
namespace {

// The table's column of that name: as it stands, else as plain_name() has both.
const Column* find_column(const std::vector<Column>& columns, const std::string& name) {
  for (const Column& column : columns)
    if (column.name == name) return &column;
  for (const Column& column : columns)
    if (plain_name(column.name) == plain_name(name)) return &column;
  return nullptr;
}

const NamedColumn* find_named(const std::vector<NamedColumn>& columns, const std::string& name) {
  for (const NamedColumn& column : columns)
    if (plain_name(column.column.name) == plain_name(name)) return &column;
  return nullptr;
}

Column guessed(const FileShape& shape, size_t cell, const std::string& name) {
  Column column;
  if (cell < shape.types.size()) {
    column = shape.types[cell];
  } else if (cell < shape.guesses.size()) {
    column.type = shape.guesses[cell].type();
  }
  column.name = plain_name(name);
  return column;
}

}  // namespace

std::vector<std::string> file_names(const FileShape& shape, const LoadOptions& options) {
  if (!shape.names.empty() || options.columns.empty()) return shape.names;
  if (shape.width && options.columns.size() != shape.width)
    throw base::UsageError("--columns names " + std::to_string(options.columns.size()) +
                           " columns, but the file has " + std::to_string(shape.width));
  std::vector<std::string> names;
  for (const NamedColumn& column : options.columns) names.push_back(column.column.name);
  return names;
}

std::vector<Column> columns_for(const FileShape& shape, const LoadOptions& options) {
  std::vector<std::string> names = file_names(shape, options);
  for (size_t i = names.size(); i < shape.width; ++i) names.push_back("c" + std::to_string(i + 1));
  if (names.empty())
    throw base::UsageError("the file is empty: no table can be made for it without --columns");
  std::vector<Column> columns;
  std::set<std::string> distinct;
  for (size_t cell = 0; cell < names.size(); ++cell) {
    const NamedColumn* named = find_named(options.columns, names[cell]);
    if (!options.columns.empty() && !named) continue;  // which of them
    Column column = guessed(shape, cell, names[cell]);
    if (named) {
      if (named->typed) column = named->column;
      column.name = named->column.name;
    }
    if (column.name.empty())
      throw base::UsageError("column " + std::to_string(cell + 1) + " of the file has no name");
    if (!distinct.insert(column.name).second)
      throw base::UsageError("the file has two columns called " + column.name);
    columns.push_back(std::move(column));
  }
  return columns;
}

Match match_columns(const FileShape& shape, const Table& table, const LoadOptions& options) {
  Match match;
  match.plan.mode = options.mode;
  match.plan.key = options.key.empty() ? table.key : options.key;
  std::vector<Column> usable;
  for (const Column& column : table.columns)
    if (!column.generated) usable.push_back(column);
  std::vector<std::string> names = file_names(shape, options);
  if (names.empty() && shape.width > 0) {
    if (shape.width != usable.size())
      throw base::UsageError("the file has " + std::to_string(shape.width) +
                             " columns without names and the table " + std::to_string(usable.size()) +
                             "; say which they are with --columns");
    for (const Column& column : usable) names.push_back(column.name);
  }
  if (names.empty())
    for (const Column& column : usable) names.push_back(column.name);  // an empty file has no rows to tell
  std::set<std::string> taken;
  std::vector<std::string> unknown;
  for (size_t cell = 0; cell < names.size(); ++cell) {
    if (!shape.names.empty() && !options.columns.empty() && !find_named(options.columns, names[cell])) {
      match.ignored.push_back(names[cell]);
      continue;
    }
    const Column* found = find_column(usable, names[cell]);
    if (found) {
      if (!taken.insert(found->name).second)
        throw base::UsageError("two columns of the file are called " + found->name);
      match.plan.columns.push_back({cell, *found});
      continue;
    }
    if (options.new_columns == Drift::kIgnore) {
      match.ignored.push_back(names[cell]);
    } else if (options.new_columns == Drift::kAdd) {
      const NamedColumn* named = find_named(options.columns, names[cell]);
      Column column = named && named->typed ? named->column : guessed(shape, cell, names[cell]);
      if (column.name.empty()) throw base::UsageError("a column of the file has no name");
      if (!taken.insert(column.name).second)
        throw base::UsageError("two columns of the file are called " + column.name);
      match.new_columns.push_back(column);
      match.plan.columns.push_back({cell, column});
    } else {
      unknown.push_back(names[cell]);
    }
  }
  if (!unknown.empty())
    throw base::UsageError(
        "the table has no column " + base::join(unknown, ", ") +
        ", which the file has; add it with --evolve or leave it out with --new-columns ignore");
  std::vector<std::string> missing, required;
  for (const Column& column : usable) {
    if (taken.contains(column.name)) continue;
    match.left_out.push_back(column.name);
    if (column.not_null && !column.has_default) required.push_back(column.name);
    if (!column.identity) missing.push_back(column.name);
  }
  if (!required.empty())
    throw base::UsageError("the file has no column " + base::join(required, ", ") +
                           ", which the table needs (NOT NULL without a default)");
  if (options.refuse_missing && !missing.empty())
    throw base::UsageError("the file has no column " + base::join(missing, ", ") + ", which the table has");
  if (match.plan.columns.empty()) throw base::UsageError("the file and the table have no column in common");
  match.plan.covers_table = match.left_out.empty();
  for (const std::string& name : match.plan.key) {
    const bool there = taken.contains(name);
    if (there || (options.mode != Mode::kUpsert && options.key.empty())) continue;
    throw base::UsageError("the key has the column " + name + ", which " +
                           (find_column(usable, name) ? "the file has not" : "the table has not"));
  }
  // Without all of it nothing can be told by the key.
  if (!std::all_of(match.plan.key.begin(), match.plan.key.end(),
                   [&](const auto& name) { return taken.contains(name); }))
    match.plan.key.clear();
  if (options.mode == Mode::kUpsert && match.plan.key.empty())
    throw base::UsageError("--mode upsert needs a key: the table has no primary key, so say --key COLUMN,…");
  for (PlannedColumn& planned : match.plan.columns)
    if (std::find(match.plan.key.begin(), match.plan.key.end(), planned.column.name) != match.plan.key.end())
      planned.column.not_null = true;
  return match;
}

}  // namespace millrace::load
