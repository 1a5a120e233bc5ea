#include "raft/refusal.h"

#include <stdarg.h>
#include <stdio.h>

int refuse(struct refusal *r, int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int wrote = vsnprintf(r->text, sizeof r->text, format, args);
    va_end(args);
    if (wrote < 0) r->text[0] = '\0';
    return status;
}
