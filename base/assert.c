#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void hf_assert_fail(const char *file, int line, const char *func, const char *claim)
{
    fprintf(stderr, "level=fatal msg=\"assertion failed\" at=%s:%d func=%s claim=\"%s\"\n", file,
            line, func, claim);
    fflush(stderr);
    abort();
}
