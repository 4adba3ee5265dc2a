include(GoogleTest)

# procpool_test(NAME SOURCES s... [LINKS l...] [TIMEOUT seconds])
# An executable of GoogleTest tests; ctest runs each test in a process of its own. A test that takes
# longer than TIMEOUT (60) is ended by the watchdog of tests/support with its children; ctest's own
# limit stands behind it.
function(procpool_test name)
  cmake_parse_arguments(arg "" "TIMEOUT" "SOURCES;LINKS" ${ARGN})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  math(EXPR ctest_timeout "${arg_TIMEOUT} + 15")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE procpool_test_support ${arg_LINKS})
  procpool_settings(${name})
  procpool_precompile(${name} procpool_test_support)
  gtest_discover_tests(
    ${name}
    DISCOVERY_MODE PRE_TEST
    PROPERTIES TIMEOUT ${ctest_timeout} ENVIRONMENT PROCPOOL_TEST_TIMEOUT=${arg_TIMEOUT})
endfunction()
