/* Records that fail, are reopened by whoever sees that, and run again, until they are done or
 * nobody looks any more. One in three is kept for as short as can be, so that of a long run its
 * first keys are tombstones at the end: a begin is told so, and what has failed is reopened from
 * there, too. Some are erased, which no later answer may turn into another run. */
#include "jepsen/run/workload.h"

#include <string.h>

enum { KEYS = 3, RETAIN_MS_LEAST = 60000, LATELY = 20 };

/* Mostly a key of lately, one in eight of any time. */
static const char *draw_key(struct worker *w, char out[WORKLOAD_NAME_BYTES])
{
    uint64_t now = worker_rounds(w);
    uint64_t back = prng_below(&w->prng, prng_below(&w->prng, 8) == 0 ? now + 1 : LATELY);
    unsigned which = (unsigned)prng_below(&w->prng, KEYS);
    return worker_record_key("o", back < now ? now - back : 0, which, out);
}

static void run_attempt(struct worker *w, const char *key, hf_record *record)
{
    uint64_t number = hf_record_look(record)->checkpoint_number;
    bool lost = prng_below(&w->prng, 3) == 0 &&
                worker_record_checkpoint(w, key, record, number + 1, HF_MARK_NONE) != HF_OK;
    worker_pause_ms(w, prng_below(&w->prng, prng_below(&w->prng, 30) == 0 ? 1500 : 5));
    if (lost || prng_below(&w->prng, 12) == 0)
        worker_record_abandon(w, key, record);
    else
        (void)worker_record_complete(w, key, record, prng_below(&w->prng, 4) != 0,
                                     worker_number(w));
}

/* Whose record it is does not matter to an operator. One in eight reopens what was done, and must
 * be refused. */
static void look_after(struct worker *w, const char *key)
{
    struct worker_shown shown;
    if (!worker_record_get(w, key, &shown)) return;
    bool ended = strcmp(shown.status, "completed") == 0 || strcmp(shown.status, "expired") == 0;
    if (shown.token == 0 || !ended) return;
    if (shown.failed || prng_below(&w->prng, 8) == 0)
        (void)worker_record_reopen(w, key, shown.token);
    else if (prng_below(&w->prng, 8) == 0)
        worker_record_erase(w, key);
}

static void take_turn(struct worker *w)
{
    char key[WORKLOAD_NAME_BYTES];
    hf_record *record;
    struct hf_begin how = {.takeover = HF_TAKEOVER_AUTO, .fingerprint = {1}};
    (void)draw_key(w, key);
    how.retain_ms = key[strlen(key) - 1] == '0' ? RETAIN_MS_LEAST : 0;
    if (prng_below(&w->prng, 3) == 0) how.wait_ms = prng_below(&w->prng, 400);
    if (prng_below(&w->prng, 2) == 0) {
        look_after(w, key);
    } else {
        int verdict = worker_record_begin(w, key, &how, &record);
        if (verdict == HF_STARTED || verdict == HF_TAKEOVER)
            run_attempt(w, key, record);
        else
            hf_record_free(record);
    }
    worker_pause_ms(w, 3 + prng_below(&w->prng, 12));
}

static void read_all(struct worker *w)
{
    char key[WORKLOAD_NAME_BYTES];
    struct worker_shown shown;
    for (uint64_t round = 0, last = worker_rounds(w); round <= last; round++) {
        for (unsigned i = 0; i < KEYS; i++)
            (void)worker_record_get(w, worker_record_key("o", round, i, key), &shown);
    }
}

const struct workload workload_reopen = {
    .name = "reopen",
    .models = {WORKLOAD_IDEM},
    .turn = take_turn,
    .read_all = read_all,
};
