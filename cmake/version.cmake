# version.cmake - run at each build: HEADER says version VERSION and the commit of SOURCE, and is
# written only when that changes.  A tree that holds more than its commit is marked "-dirty".
cmake_minimum_required(VERSION 3.25)
execute_process(COMMAND git --no-optional-locks -C ${SOURCE} describe --always --dirty --abbrev=12
	RESULT_VARIABLE failed OUTPUT_VARIABLE rev OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
if(failed OR NOT rev)
	set(rev unknown) # an archive, or a machine without git
endif()
file(CONFIGURE OUTPUT ${HEADER} @ONLY CONTENT
"/* made by cmake/version.cmake */
#ifndef FLASH_VERSION_H
#define FLASH_VERSION_H
#define FLASH_VERSION \"@VERSION@\"
#define FLASH_GIT_REV \"@rev@\"
#endif
")
