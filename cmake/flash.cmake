# flash.cmake - what every target of the project shares: warnings, sanitizers, coverage

add_library(flash_warnings INTERFACE)
target_compile_options(flash_warnings INTERFACE
	-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
	-Wundef -Wvla -Wwrite-strings -fno-common
	# gcc cannot know that err_set() never returns 0, and takes the error path for the good one.
	$<$<C_COMPILER_ID:GNU>:-Wno-maybe-uninitialized>
	$<$<BOOL:${FLASH_WERROR}>:-Werror>)
target_compile_definitions(flash_warnings INTERFACE _POSIX_C_SOURCE=200809L)
if(FLASH_SANITIZE)
	target_compile_options(flash_warnings INTERFACE -fsanitize=${FLASH_SANITIZE} -fno-omit-frame-pointer)
	target_link_options(flash_warnings INTERFACE -fsanitize=${FLASH_SANITIZE})
	if(FLASH_SANITIZE MATCHES "undefined")
		target_compile_options(flash_warnings INTERFACE -fno-sanitize-recover=undefined)
	endif()
endif()
if(FLASH_COVERAGE)
	# Threads count together; torn counters go below zero, and gcovr refuses them.
	target_compile_options(flash_warnings INTERFACE --coverage -fprofile-update=atomic)
	target_link_options(flash_warnings INTERFACE --coverage)
endif()

if(FLASH_FUZZ)
	if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
		message(FATAL_ERROR "FLASH_FUZZ needs clang, whose libFuzzer it uses (got ${CMAKE_C_COMPILER_ID}): use the fuzz preset")
	endif()
	# Each library tells the fuzzer what it reached; only the targets of flash_fuzz() have its main().
	target_compile_options(flash_warnings INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Simulated results repeat to the bit: no fused or reordered floating point there.
add_library(flash_exact_math INTERFACE)
target_compile_options(flash_exact_math INTERFACE -fno-fast-math -ffp-contract=off)

# What the program says of itself: --version, and the version and git_rev of every result row.  Asked
# anew at each build, since the tree moves on between configuring and building.
set(version_header ${PROJECT_BINARY_DIR}/version/flash_version.h)
add_custom_target(flash_version_header
	COMMAND ${CMAKE_COMMAND} -DSOURCE=${PROJECT_SOURCE_DIR} -DHEADER=${version_header}
		-DVERSION=${PROJECT_VERSION} -P ${PROJECT_SOURCE_DIR}/cmake/version.cmake
	BYPRODUCTS ${version_header} COMMENT "" VERBATIM)
add_library(flash_version INTERFACE)
target_include_directories(flash_version INTERFACE ${PROJECT_BINARY_DIR}/version)
add_dependencies(flash_version flash_version_header)

# flash_test(NAME folder/test_x.c LIBS ... [LABELS ...]) - one executable and one CTest for one file
# Label `threads`: what runs threads of ours, and so runs under the thread sanitizer too.
function(flash_test name source)
	cmake_parse_arguments(T "" "TIMEOUT" "LIBS;LABELS" ${ARGN})
	add_executable(${name} ${source})
	target_link_libraries(${name} PRIVATE ${T_LIBS} flash_warnings PkgConfig::CHECK)
	target_compile_definitions(${name} PRIVATE
		FLASH_SOURCE_DIR="${PROJECT_SOURCE_DIR}" FLASH_BINARY_DIR="${PROJECT_BINARY_DIR}")
	add_test(NAME ${name} COMMAND ${name})
	if(NOT T_TIMEOUT)
		set(T_TIMEOUT 120)
	endif()
	# Exit status 77 says that this host lacks what the test needs (direct I/O, a cgroup, ...).
	set_tests_properties(${name} PROPERTIES TIMEOUT ${T_TIMEOUT} SKIP_RETURN_CODE 77
		LABELS "${T_LABELS}" ENVIRONMENT "FLASHCAST_CONFIGS=${PROJECT_SOURCE_DIR}/configs")
endfunction()

# flash_alloc_fails(NAME) - a test of flash_test() that stands between our libraries and the C library's allocator
# (tests/alloc_fails.h)
function(flash_alloc_fails name)
	target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
	target_link_options(${name} PRIVATE
		LINKER:--wrap=malloc,--wrap=calloc,--wrap=realloc
		LINKER:--wrap=strdup,--wrap=strndup,--wrap=open_memstream)
endfunction()

# flash_fuzz(NAME fuzz_x.c LIBS ... SEEDS files...) - one libFuzzer target: one parser, fed with bytes
# Its test starts from the seeds, runs FLASH_FUZZ_SECONDS and fails on any finding.
function(flash_fuzz name source)
	cmake_parse_arguments(F "" "" "LIBS;SEEDS" ${ARGN})
	add_executable(${name} ${source})
	target_link_libraries(${name} PRIVATE ${F_LIBS} flash_warnings)
	target_link_options(${name} PRIVATE -fsanitize=fuzzer)
	# What it finds of new paths stays in the build folder, for the next run.
	set(corpus ${CMAKE_CURRENT_BINARY_DIR}/${name}-corpus)
	set(seeds ${CMAKE_CURRENT_BINARY_DIR}/${name}-seeds)
	file(MAKE_DIRECTORY ${corpus} ${seeds})
	foreach(seed ${F_SEEDS})
		file(RELATIVE_PATH flat ${PROJECT_SOURCE_DIR} ${seed})
		string(REPLACE "/" "_" flat ${flat})
		configure_file(${seed} ${seeds}/${flat} COPYONLY)
	endforeach()
	add_test(NAME ${name} COMMAND ${name} -max_total_time=${FLASH_FUZZ_SECONDS} -timeout=10
		-rss_limit_mb=2048 -print_final_stats=1 ${corpus} ${seeds})
	math(EXPR timeout "${FLASH_FUZZ_SECONDS} + 120")
	set_tests_properties(${name} PROPERTIES TIMEOUT ${timeout} LABELS fuzz)
endfunction()
