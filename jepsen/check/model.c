#include "jepsen/check/model.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/status.h"

enum { TEXT_BYTES = 1024 };

const struct model *model_find(const char *name)
{
    static const struct model *const models[] = {&model_lock, &model_idem, &model_fencedreg};
    for (size_t i = 0; i < HF_ARRAY_COUNT(models); i++) {
        if (strcmp(models[i]->name, name) == 0) return models[i];
    }
    return NULL;
}

void model_say(struct buffer *out, const char *format, ...)
{
    char text[TEXT_BYTES];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0) return;
    size_t bytes = (size_t)length < sizeof text ? (size_t)length : sizeof text - 1;
    if (buffer_append(out, text, bytes) != HF_OK) return; /* for people: cut, not failed */
}

const char *model_time(int64_t ns, char text[32])
{
    if (ns == OPERATION_NEVER) return "never";
    const char *sign = ns < 0 ? "-" : "";
    uint64_t magnitude = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    (void)snprintf(text, 32, "%s%" PRIu64 ".%09" PRIu64, sign, magnitude / 1000000000,
                   magnitude % 1000000000);
    return text;
}

int64_t model_no_rank(const struct operation *op)
{
    (void)op;
    return 0;
}
