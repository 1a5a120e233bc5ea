/* See the header. */
#include "tests/sim/trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

void trace_line(const struct trace *t, char who, uint32_t number, const char *what,
                const char *format, ...)
{
    if (!trace_shows(t)) return;
    va_list args;
    va_start(args, format);
    printf("%5" PRIu64 ".%09" PRIu64 " %c%-2" PRIu32 " %-10s ", t->now_ns / 1000000000,
           t->now_ns % 1000000000, who, number, what);
    vprintf(format, args);
    printf("\n");
    va_end(args);
}
