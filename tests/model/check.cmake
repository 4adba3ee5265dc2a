# Run by ctest: makes the checker of MODEL in FOLDER, and runs it to its end.
set(defined ${DEFINITIONS})
list(TRANSFORM defined PREPEND -D)
file(MAKE_DIRECTORY ${FOLDER})

function(run output)
  execute_process(COMMAND ${ARGN} WORKING_DIRECTORY ${FOLDER} OUTPUT_VARIABLE text
                          ERROR_VARIABLE text COMMAND_ERROR_IS_FATAL ANY)
  set(${output} "${text}" PARENT_SCOPE)
endfunction()

run(ignored ${SPIN} -a ${defined} ${MODEL})
# pan.c is C, by spin; -DCOLLAPSE: states are packed, none is left out.
run(ignored ${CC} -x c -w -O2 -DSAFETY -DCOLLAPSE -o pan pan.c)
run(report ./pan -m100000)
message("${report}")
if(NOT report MATCHES "errors: ([0-9]+)")
  message(FATAL_ERROR "no report")
endif()
set(errors ${CMAKE_MATCH_1})
if(FAILS AND errors EQUAL 0)
  message(FATAL_ERROR "the fault in this model was not found")
endif()
if(NOT FAILS AND (NOT errors EQUAL 0 OR report MATCHES "not completed|max search depth too small"))
  message(FATAL_ERROR "the model is wrong, or was not searched to its end")
endif()
