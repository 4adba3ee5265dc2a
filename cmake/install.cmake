# What an installed procpool offers: find_package(procpool CONFIG COMPONENTS ipc proc servers) and
# `pkg-config procpool-ipc procpool-proc procpool-servers`. The libraries and their headers are
# installed where they are made (procpool_target.cmake); both descriptions may be moved with their tree.
include(CMakePackageConfigHelpers)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/procpool)
set(pkg_config_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

# procpool_servers is the name that all of these go by outside.
set(server_libraries http ftp program models net)

if(PROCPOOL_BUILD_PROGRAMS)
  install(TARGETS ipc-demo proc-demo procpool-ftp procpool-ftpd procpool-httpd RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
  install(FILES servers/procpool-ftpd.8 servers/procpool-httpd.8 DESTINATION ${CMAKE_INSTALL_MANDIR}/man8)
endif()

set_target_properties(procpool_servers PROPERTIES EXPORT_NAME servers)
install(TARGETS procpool_servers EXPORT procpool-targets)
install(EXPORT procpool-targets NAMESPACE procpool:: DESTINATION ${package_dir})

configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/procpool-config.cmake.in procpool-config.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(procpool-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/procpool-config.cmake
              ${PROJECT_BINARY_DIR}/procpool-config-version.cmake DESTINATION ${package_dir})

# install_pkg_config(NAME DESCRIPTION d LIBRARIES l... [REQUIRES packages...])
# A static library does not say what it needs itself, so LIBRARIES are in the order of linking.
function(install_pkg_config name)
  cmake_parse_arguments(arg "" "DESCRIPTION" "LIBRARIES;REQUIRES" ${ARGN})
  list(TRANSFORM arg_LIBRARIES PREPEND -lprocpool_)
  list(JOIN arg_LIBRARIES " " libraries)
  list(JOIN arg_REQUIRES ", " requires)
  set(description ${arg_DESCRIPTION})
  file(RELATIVE_PATH path_to_prefix /prefix/${pkg_config_dir} /prefix)
  string(REGEX REPLACE "/$" "" path_to_prefix ${path_to_prefix})
  configure_file(${CMAKE_CURRENT_FUNCTION_LIST_DIR}/procpool.pc.in procpool-${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/procpool-${name}.pc DESTINATION ${pkg_config_dir})
endfunction()

install_pkg_config(ipc DESCRIPTION "What passes between processes" LIBRARIES ipc)
install_pkg_config(proc DESCRIPTION "Processes: made, watched, stopped, supervised"
                   LIBRARIES proc REQUIRES procpool-ipc)
install_pkg_config(servers DESCRIPTION "Servers made of several processes"
                   LIBRARIES ${server_libraries} REQUIRES procpool-proc spdlog zlib libcrypt libseccomp)
