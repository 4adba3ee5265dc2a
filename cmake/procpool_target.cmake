# The settings that every target of this project shares, and no target of anybody else's.
function(procpool_settings target)
  target_compile_features(${target} PUBLIC cxx_std_20)
  set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  if(PROCPOOL_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(PROCPOOL_SANITIZE)
    # Without vptr: UBSan looks at an object's type by a pipe of its own, so where no descriptor is
    # left, and tests see to that, every type is wrong.
    target_compile_options(${target} PRIVATE -fsanitize=${PROCPOOL_SANITIZE} -fno-sanitize=vptr
                                             -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PUBLIC -fsanitize=${PROCPOOL_SANITIZE})
  endif()
  if(PROCPOOL_COVERAGE)
    target_compile_options(${target} PRIVATE --coverage -fprofile-update=atomic)
    target_link_options(${target} PUBLIC --coverage)
  endif()
endfunction()

# What nearly every source includes is read once for many targets: of a build with sanitizers that
# takes a quarter. A source names its headers all the same; a build without this shows whether it does.
# The targets of one donor are compiled with the same options.
function(procpool_precompile target donor)
  if(NOT PROCPOOL_PRECOMPILE)
    return()
  endif()
  if(target STREQUAL donor)
    target_precompile_headers(
      ${target} PRIVATE
      <algorithm> <array> <atomic> <chrono> <cstddef> <cstdint> <exception> <filesystem> <fstream> <functional> <map>
      <memory> <optional> <span> <sstream> <string> <string_view> <thread> <utility> <variant> <vector> ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${donor})
  endif()
endfunction()

# procpool_library(NAME HEADERS h... [SOURCES c...] [LINKS l...])
# A library `procpool::NAME`. HEADERS are public: installed beneath include/procpool, and each is
# compiled alone by the target all_verify_interface_header_sets.
function(procpool_library name)
  cmake_parse_arguments(arg "" "" "HEADERS;SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  set(target procpool_${name})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(procpool::${name} ALIAS ${target})
  target_sources(${target} PUBLIC FILE_SET HEADERS BASE_DIRS ${PROJECT_SOURCE_DIR}
                                  FILES ${arg_HEADERS})
  target_include_directories(
    ${target} INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
                        $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}/procpool>)
  if(NOT PROJECT_IS_TOP_LEVEL)  # <procpool/ipc/...> is found as it is once installed
    file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/include)
    file(CREATE_LINK ${PROJECT_SOURCE_DIR} ${PROJECT_BINARY_DIR}/include/procpool SYMBOLIC)
    target_include_directories(${target} INTERFACE $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>)
  endif()
  target_link_libraries(${target} PUBLIC ${arg_LINKS} PRIVATE ${arg_PRIVATE_LINKS})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name} POSITION_INDEPENDENT_CODE ON
                                             VERIFY_INTERFACE_HEADER_SETS ON)
  procpool_settings(${target})
  procpool_precompile(${target} procpool_ipc)
  if(PROCPOOL_INSTALL)
    install(TARGETS ${target} EXPORT procpool-targets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
            FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/procpool)
  endif()
endfunction()
