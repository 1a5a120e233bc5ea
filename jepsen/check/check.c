#include "jepsen/check/check.h"

#include "jepsen/check/report.h"

static void say_key(const struct key_history *key, struct buffer *report)
{
    uint32_t name = key->operations[0].key;
    model_say(report, "key \"%s\": ", strings_text(&key->history->strings, name));
}

static enum search_verdict check_key(const struct model *model, struct key_history *key,
                                     const struct search_limits *limits, size_t tail,
                                     struct check_result *result, struct buffer *report)
{
    struct search_result searched;
    size_t before = report->size;
    say_key(key, report);
    if (!model->quick(key, report)) {
        model_say(report, "\n");
        return SEARCH_FAILS;
    }
    model->prepare(key->operations, &key->count);
    for (size_t i = 0; i < key->count; i++)
        result->unknown_count += key->operations[i].outcome == RESULT_UNKNOWN;
    search_run(model, key, limits, &searched);
    result->place_count += searched.place_count;
    switch (searched.verdict) {
    case SEARCH_FITS: report->size = before; break;
    case SEARCH_FAILS: report_stuck(model, key, &searched, tail, report); break;
    case SEARCH_UNDECIDED: model_say(report, "undecided: out of %s\n", searched.undecided); break;
    }
    return searched.verdict;
}

static void check_keys(const struct model *model, struct history *h,
                       const struct search_limits *limits, size_t tail, struct check_result *result,
                       struct buffer *report)
{
    size_t next;
    *result = (struct check_result){.verdict = SEARCH_FITS};
    for (size_t first = 0; first < h->count; first = next) {
        for (next = first + 1; next < h->count; next++) {
            if (h->operations[next].key != h->operations[first].key) break;
        }
        struct key_history key = {h, h->operations + first, next - first};
        enum search_verdict verdict = check_key(model, &key, limits, tail, result, report);
        result->key_count++;
        if (verdict != SEARCH_FITS) result->verdict = verdict;
        if (verdict == SEARCH_FAILS) break; /* an undecided key may yet be outdone by a wrong one */
        if (verdict == SEARCH_UNDECIDED && limits->is_over != NULL && limits->is_over(limits->data))
            break;
    }
}

/* What is wrong between keys is looked for before the keys are searched, which shortens them, and
 * told behind what is wrong within one: that says more. */
void check_history(const struct model *model, struct history *h, const struct search_limits *limits,
                   size_t tail, struct check_result *result, struct buffer *report)
{
    struct buffer between;
    buffer_init(&between, CHECK_REPORT_BYTES_MAX);
    bool fine = model->whole == NULL || model->whole(h, &between);
    check_keys(model, h, limits, tail, result, report);
    if (!fine && result->verdict != SEARCH_FAILS) {
        result->verdict = SEARCH_FAILS;
        model_say(report, "%.*s", (int)between.size, (const char *)between.data);
    }
    buffer_close(&between);
}
