/* A file as holdfast-jepsen check reads it: the first byte chooses the model, the rest is lines.
 * What is accepted is checked within little memory and few steps: no assertion, no fault, nothing
 * left. */
#include <string.h>

#include "base/status.h"
#include "jepsen/check/check.h"

enum { MEMORY_BYTES = 4 << 20, LOOKS_MAX = 8, TAIL = 5 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool count_down(void *data)
{
    unsigned *left = data;
    return *left == 0 || --*left == 0;
}

static void check(const char *model, struct history *h)
{
    struct check_result result;
    struct buffer report;
    unsigned looks = LOOKS_MAX;
    struct search_limits limits = {MEMORY_BYTES, count_down, &looks};
    buffer_init(&report, CHECK_REPORT_BYTES_MAX);
    check_history(model_find(model), h, &limits, TAIL, &result, &report);
    HF_ASSERT(result.verdict == SEARCH_FITS ? report.size == 0 : report.size > 0);
    buffer_close(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const models[] = {"lock", "idem", "fencedreg"};
    if (size == 0) return 0;
    const char *model = models[data[0] % HF_ARRAY_COUNT(models)];
    const uint8_t *at = data + 1, *end = data + size;
    struct history h;
    int rv = HF_OK;
    history_init(&h, model);
    while (rv == HF_OK && at < end) {
        const uint8_t *line_end = memchr(at, '\n', (size_t)(end - at));
        if (line_end == NULL) line_end = end;
        rv = history_line(&h, slice_make(at, (size_t)(line_end - at)));
        at = line_end + 1;
    }
    if (rv == HF_OK) rv = history_finish(&h);
    HF_ASSERT((rv == HF_OK) == (h.complaint[0] == '\0'));
    if (rv == HF_OK) check(model, &h);
    history_close(&h);
    return 0;
}
