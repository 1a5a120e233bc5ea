#include "client/cli/refusal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/assert.h"
#include "client/cli/output.h"

/* A text that grows up to REFUSAL_BYTES; what does not fit is left out with what follows. */
struct phrase {
    char *out;
    size_t size;
};

static void __attribute__((format(printf, 2, 3))) say(struct phrase *p, const char *format, ...)
{
    va_list arguments;
    HF_ASSERT(p->size < REFUSAL_BYTES);
    va_start(arguments, format);
    int size = vsnprintf(p->out + p->size, REFUSAL_BYTES - p->size, format, arguments);
    va_end(arguments);
    HF_ASSERT(size >= 0);
    p->size += (size_t)size;
    if (p->size >= REFUSAL_BYTES) p->size = REFUSAL_BYTES - 1;
}

static void say_busy(struct phrase *p, const hf_refusal *r)
{
    char left[24];
    const char *gap = "";
    say(p, " (");
    if (r->limit > 0) {
        say(p, "%" PRIu32 " of %" PRIu32 " permits are taken", r->units_taken, r->limit);
        if (r->units_delayed > 0) say(p, ", %" PRIu32 " not back yet", r->units_delayed);
        gap = ", ";
    }
    if (r->holders_shown > 0) {
        const hf_holder *first = &r->holders[0];
        say(p, "%ssession %" PRIu64 " holds it under token %" PRIu64, gap, first->session,
            first->fencing_token);
        if (r->holder_count > 1) say(p, " and %" PRIu32 " more", r->holder_count - 1);
        say(p, ", %s of %s lease left", text_of_ms(r->lease_left_ms, left),
            r->holder_count > 1 ? "the longest" : "its");
        gap = ", ";
    }
    say(p, "%s%" PRIu32 " waiting)", gap, r->queue_length);
}

static void say_deadlock(struct phrase *p, const hf_refusal *r)
{
    say(p, " (a cycle of %" PRIu32 ":", r->cycle_length);
    for (uint32_t i = 0; i < r->cycle_shown; i++) {
        say(p, "%s session %" PRIu64 " owner %" PRIu64, i > 0 ? ", who waits for" : "",
            r->cycle[i].session, r->cycle[i].owner);
    }
    if (r->cycle_shown < r->cycle_length) {
        say(p, ", and so on");
    } else {
        say(p, ", who waits for the first");
    }
    say(p, ")");
}

static void say_already(struct phrase *p, const hf_refusal *r)
{
    say(p, " (under token %" PRIu64 ":", r->fencing_token);
    for (uint32_t i = 0; i < r->name_count; i++) {
        if (p->size > REFUSAL_BYTES / 2) {
            say(p, " and others");
            break;
        }
        say(p, "%s \"%s\"", i > 0 ? "," : "", r->names[i]);
    }
    say(p, ")");
}

const char *refusal_text(const hf_refusal *refusal, char *out)
{
    struct phrase p = {.out = out};
    char left[24];
    out[0] = '\0';
    if (refusal == NULL) return out;
    switch (refusal->status) {
    case HF_EBUSY: say_busy(&p, refusal); break;
    case HF_EDELAYED: say(&p, " (for %s more)", text_of_ms(refusal->delay_left_ms, left)); break;
    case HF_EDEADLOCK: say_deadlock(&p, refusal); break;
    case HF_EALREADY: say_already(&p, refusal); break;
    default: break;
    }
    return out;
}
