// DuckDB's C API (duckdb.h), opened when it is first asked for: the library has 70 MB, and most of what the
// program does needs none of it.
#pragma once

#include <duckdb.h>

namespace millrace::sql {

// The functions in use, without their prefix "duckdb_". Add what you need; all of them are there since 1.4.
// clang-format off
#define MILLRACE_DUCKDB_FUNCTIONS(X)                                                                          \
  X(library_version) X(malloc) X(free) X(vector_size)                                                         \
  X(create_config) X(set_config) X(destroy_config) X(open_ext) X(close) X(connect) X(disconnect)              \
  X(interrupt) X(query_progress)                                                                              \
  X(query) X(destroy_result) X(result_error) X(result_error_type) X(column_count) X(column_name)              \
  X(column_type) X(column_logical_type) X(rows_changed) X(fetch_chunk) X(stream_fetch_chunk)                  \
  X(prepare) X(destroy_prepare) X(prepare_error) X(nparams) X(execute_prepared) X(pending_prepared)           \
  X(pending_prepared_streaming) X(execute_pending) X(pending_error) X(destroy_pending)                        \
  X(bind_null) X(bind_boolean) X(bind_int64) X(bind_uint64) X(bind_double) X(bind_varchar_length)             \
  X(bind_blob) X(bind_timestamp) X(bind_date) X(bind_value)                                                   \
  X(create_data_chunk) X(destroy_data_chunk) X(data_chunk_reset) X(data_chunk_get_column_count)               \
  X(data_chunk_get_vector) X(data_chunk_get_size) X(data_chunk_set_size)                                      \
  X(vector_get_column_type) X(vector_get_data) X(vector_get_validity) X(vector_ensure_validity_writable)      \
  X(vector_assign_string_element_len) X(list_vector_get_child) X(list_vector_get_size)                        \
  X(list_vector_set_size) X(list_vector_reserve) X(struct_vector_get_child) X(array_vector_get_child)         \
  X(validity_row_is_valid) X(validity_set_row_invalid)                                                        \
  X(string_is_inlined) X(string_t_length) X(string_t_data)                                                    \
  X(create_logical_type) X(create_list_type) X(create_array_type) X(create_map_type)                          \
  X(create_struct_type) X(create_decimal_type) X(destroy_logical_type) X(get_type_id)                         \
  X(decimal_width) X(decimal_scale) X(decimal_internal_type) X(list_type_child_type)                          \
  X(array_type_child_type) X(array_type_array_size) X(map_type_key_type) X(map_type_value_type)               \
  X(struct_type_child_count) X(struct_type_child_name) X(struct_type_child_type)                              \
  X(enum_internal_type) X(enum_dictionary_size) X(enum_dictionary_value)                                      \
  X(create_varchar_length) X(create_int64) X(create_bool) X(create_double) X(create_null_value)               \
  X(create_list_value) X(create_struct_value) X(destroy_value) X(get_varchar) X(get_int64) X(get_uint64)      \
  X(get_bool) X(get_double) X(get_list_size) X(get_list_child) X(is_null_value)                               \
  X(create_table_function) X(destroy_table_function) X(table_function_set_name)                               \
  X(table_function_add_parameter) X(table_function_add_named_parameter) X(table_function_set_extra_info)      \
  X(table_function_set_bind) X(table_function_set_init) X(table_function_set_local_init)                      \
  X(table_function_set_function) X(table_function_supports_projection_pushdown)                               \
  X(register_table_function)                                                                                  \
  X(bind_get_extra_info) X(bind_add_result_column) X(bind_get_parameter) X(bind_get_named_parameter)          \
  X(bind_set_bind_data) X(bind_set_cardinality) X(bind_set_error)                                             \
  X(init_get_extra_info) X(init_get_bind_data) X(init_set_init_data) X(init_get_column_count)                 \
  X(init_get_column_index) X(init_set_max_threads) X(init_set_error)                                          \
  X(function_get_extra_info) X(function_get_bind_data) X(function_get_init_data)                              \
  X(function_get_local_init_data) X(function_set_error)                                                       \
  X(create_scalar_function) X(destroy_scalar_function) X(scalar_function_set_name)                            \
  X(scalar_function_add_parameter) X(scalar_function_set_return_type) X(scalar_function_set_extra_info)       \
  X(scalar_function_set_function) X(scalar_function_get_extra_info) X(scalar_function_set_error)              \
  X(register_scalar_function)                                                                                 \
  X(appender_create) X(appender_error_data) X(appender_flush) X(appender_close) X(appender_destroy)           \
  X(appender_begin_row) X(appender_end_row) X(append_data_chunk) X(append_null) X(append_bool)                \
  X(append_int64) X(append_uint64) X(append_double) X(append_varchar_length) X(append_blob)                   \
  X(append_timestamp) X(append_date) X(error_data_message) X(destroy_error_data)                              \
  X(from_date) X(to_date) X(from_time) X(from_timestamp) X(to_timestamp) X(is_finite_timestamp)               \
  X(is_finite_date)
// clang-format on

struct DuckDbApi {
#define MILLRACE_DUCKDB_MEMBER(name) decltype(&::duckdb_##name) name = nullptr;
  MILLRACE_DUCKDB_FUNCTIONS(MILLRACE_DUCKDB_MEMBER)
#undef MILLRACE_DUCKDB_MEMBER
};

// The library's functions, for the life of the process. Looks at MILLRACE_DUCKDB (a file), beside the
// program, in ../lib/millrace of its folder, where it was found when the program was built, and where the
// system keeps libraries. Any thread. Throws NotFoundError, which says where it looked and what to do.
const DuckDbApi& duckdb_api();

}  // namespace millrace::sql
