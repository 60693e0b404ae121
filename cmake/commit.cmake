# Run at every build: writes OUT with the commit that results name, only when it changed. Without git: "unknown".
# SPDX-License-Identifier: Apache-2.0
set(commit unknown)
set(dirty false)
execute_process(COMMAND git rev-parse --short=12 HEAD WORKING_DIRECTORY ${SOURCE} OUTPUT_VARIABLE head
                OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed ERROR_QUIET)
if(NOT failed)
  set(commit ${head})
  # Results that runs leave in the tree change nothing that is built.
  execute_process(COMMAND git diff --quiet HEAD -- . ":!results" ":!docs" ":!*.md" WORKING_DIRECTORY ${SOURCE}
                  RESULT_VARIABLE changed ERROR_QUIET)
  if(changed)
    set(dirty true)
  endif()
endif()
set(text "#define LAYERCOST_COMMIT \"${commit}\"\n#define LAYERCOST_DIRTY ${dirty}\n")
if(EXISTS ${OUT})
  file(READ ${OUT} old)
endif()
if(NOT "${old}" STREQUAL "${text}")
  file(WRITE ${OUT} "${text}")
endif()
