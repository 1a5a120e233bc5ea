# Flags for everything of ours. Assertions stay on in every build: there is no NDEBUG anywhere.
option(HF_WERROR "Treat warnings as errors (the presets for development do)" OFF)
set(HF_SANITIZE "" CACHE STRING "Sanitizers to build with, as -fsanitize takes them")
option(HF_FUZZ "Build the libFuzzer targets (needs clang)" OFF)

set(CMAKE_C_FLAGS_RELEASE "-O2 -g")

add_library(holdfast_options INTERFACE)
target_include_directories(holdfast_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_definitions(holdfast_options INTERFACE _DEFAULT_SOURCE)
target_compile_options(holdfast_options INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wvla -Wstrict-prototypes -Wmissing-prototypes
    -fno-omit-frame-pointer -fstack-protector-strong)
if(HF_WERROR)
    target_compile_options(holdfast_options INTERFACE -Werror)
endif()
if(HF_SANITIZE)
    target_compile_options(holdfast_options INTERFACE -fsanitize=${HF_SANITIZE}
        -fno-sanitize-recover=all)
    target_link_options(holdfast_options INTERFACE -fsanitize=${HF_SANITIZE})
endif()
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    target_compile_options(holdfast_options INTERFACE -D_FORTIFY_SOURCE=2)
    target_link_options(holdfast_options INTERFACE -Wl,-z,relro,-z,now)
endif()
