# Flags for everything of ours. Assertions stay on in every build: there is no NDEBUG anywhere.
option(HF_WERROR "Treat warnings as errors (the presets for development do)" OFF)
set(HF_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize takes them")
option(HF_SIM "Build holdfast-sim, the simulation of the whole system" ON)
option(HF_FUZZ "Build the libFuzzer targets (needs clang)" OFF)
option(HF_PLANTED "Build with the planted bugs of base/planted_bugs.h; for tests alone" OFF)
if(HF_PLANTED AND CMAKE_BUILD_TYPE STREQUAL "Release")
    message(FATAL_ERROR
        "HF_PLANTED makes programs that break their promises when they are told to. It is not for "
        "a release: cmake --preset planted.")
endif()

include(CheckCCompilerFlag)
include(CheckPIESupported)
check_pie_supported(LANGUAGES C)

set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

add_library(holdfast_options INTERFACE)
target_include_directories(holdfast_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(holdfast_options INTERFACE _DEFAULT_SOURCE)
target_compile_options(holdfast_options INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes
    -fno-omit-frame-pointer -fstack-protector-strong)
if(HF_PLANTED)
    target_compile_definitions(holdfast_options INTERFACE HF_PLANTED)
endif()
if(HF_WERROR)
    target_compile_options(holdfast_options INTERFACE -Werror)
endif()
if(HF_SANITIZE)
    target_compile_options(holdfast_options INTERFACE -fsanitize=${HF_SANITIZE}
        -fno-sanitize-recover=all)
    target_link_options(holdfast_options INTERFACE -fsanitize=${HF_SANITIZE})
    # What sanitizers insert hides values from gcc, which then warns of ranges that cannot be.
    if(CMAKE_C_COMPILER_ID STREQUAL GNU)
        target_compile_options(holdfast_options INTERFACE
            -Wno-format-truncation -Wno-maybe-uninitialized)
    endif()
endif()
if(HF_FUZZ)
    target_compile_options(holdfast_options INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Hardening: what costs next to nothing and turns a defect into a crash instead of a way in.
# Executables are position-independent (above, with CMAKE_POSITION_INDEPENDENT_CODE).
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT HF_SANITIZE)
    target_compile_options(holdfast_options INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    target_link_options(holdfast_options INTERFACE -Wl,-z,relro,-z,now -Wl,-z,noexecstack)
    foreach(flag -fstack-clash-protection -fcf-protection=full)
        string(MAKE_C_IDENTIFIER "HF_HAVE${flag}" have)
        check_c_compiler_flag(${flag} ${have})
        if(${have})
            target_compile_options(holdfast_options INTERFACE ${flag})
        endif()
    endforeach()
endif()
