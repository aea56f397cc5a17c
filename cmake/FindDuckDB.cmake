# DuckDB's header: installed, or fetched by tools/duckdb.sh. The library is opened when a job needs it (sql/duckdb_api.h),
# so that the program starts without it; DuckDB_LIBRARY is where to look for it first.
# Sets DuckDB_FOUND, DuckDB_INCLUDE_DIR, DuckDB_LIBRARY and makes the target DuckDB::headers.
find_path(DuckDB_INCLUDE_DIR duckdb.h HINTS "${CMAKE_CURRENT_SOURCE_DIR}/third_party/duckdb")
find_library(DuckDB_LIBRARY duckdb HINTS "${DuckDB_INCLUDE_DIR}" "${CMAKE_CURRENT_SOURCE_DIR}/third_party/duckdb")
include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(DuckDB
  REQUIRED_VARS DuckDB_INCLUDE_DIR
  REASON_FAILURE_MESSAGE "duckdb.h is not there: ./run and ./test fetch it, or install DuckDB")
if(DuckDB_FOUND AND NOT TARGET DuckDB::headers)
  add_library(DuckDB::headers INTERFACE IMPORTED)
  target_include_directories(DuckDB::headers SYSTEM INTERFACE "${DuckDB_INCLUDE_DIR}")
endif()
mark_as_advanced(DuckDB_INCLUDE_DIR DuckDB_LIBRARY)
