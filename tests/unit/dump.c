#include "tests/unit/dump.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"

enum { LINE_BYTES = 8, DOC_BYTES_MAX = 1024 * 1024 };

static const char begin_marker[] = "<!-- dumps: begin -->\n";
static const char end_marker[] = "<!-- dumps: end -->\n";

void dump_init(struct dump *d)
{
    buffer_init(&d->out, DOC_BYTES_MAX);
}

void dump_put(struct dump *d, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    HF_ASSERT(size >= 0 && (size_t)size < sizeof text);
    HF_ASSERT(buffer_append(&d->out, text, (size_t)size) == HF_OK);
}

void dump_line(struct dump *d, struct slice bytes, unsigned depth, const char *note)
{
    for (size_t at = 0; at == 0 || at < bytes.size; at += LINE_BYTES) {
        char hex[3 * LINE_BYTES + 1] = "";
        for (size_t i = at; i < bytes.size && i < at + LINE_BYTES; i++) {
            snprintf(hex + 3 * (i - at), 4, "%02x ", bytes.data[i]);
        }
        if (at == 0)
            dump_put(d, "%-*s%*s%s\n", 3 * LINE_BYTES + 1, hex, (int)(2 * depth), "", note);
        else
            dump_put(d, "%.*s\n", (int)strlen(hex) - 1, hex);
    }
}

void dump_part(struct dump *d, struct slice *rest, size_t size, const char *note)
{
    HF_ASSERT(size <= rest->size);
    dump_line(d, slice_make(rest->data, size), 0, note);
    *rest = slice_make(rest->data + size, rest->size - size);
}

/* Whether the text stands between the markers of the file. */
static int compare(const struct dump *d, const char *program, const char *path)
{
    static char text[DOC_BYTES_MAX];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = 0;
    const char *begin = strstr(text, begin_marker);
    const char *end = strstr(text, end_marker);
    if (begin == NULL || end == NULL) {
        fprintf(stderr, "%s: it has no %s", path, begin == NULL ? begin_marker : end_marker);
        return 1;
    }
    begin += strlen(begin_marker);
    if (begin > end ||
        !slice_equal(slice_make(begin, (size_t)(end - begin)), buffer_slice(&d->out))) {
        fprintf(stderr,
                "%s: the dumps are not what the code sends; put the output of %s between the "
                "markers\n",
                path, program);
        return 1;
    }
    return 0;
}

int dump_end(struct dump *d, const char *program, const char *path)
{
    int rv = 0;
    if (path != NULL)
        rv = compare(d, program, path);
    else
        fwrite(d->out.data, 1, d->out.size, stdout);
    buffer_close(&d->out);
    return rv;
}
