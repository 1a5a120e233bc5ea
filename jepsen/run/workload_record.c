/* Few keys at a time, many callers: begin, checkpoints, completion; some attempts are given up,
 * some last longer than their lease, some callers have another request for the same key. */
#include "jepsen/run/workload.h"

enum { KEYS = 3, LEASE_MS_MIN = 500 };

static const char *draw_key(struct worker *w, char out[WORKLOAD_NAME_BYTES])
{
    uint64_t back = prng_below(&w->prng, 10), now = worker_rounds(w);
    unsigned which = (unsigned)prng_below(&w->prng, KEYS);
    return worker_record_key("r", back < now ? now - back : now, which, out);
}

static void run_attempt(struct worker *w, const char *key, hf_record *record)
{
    uint64_t number = hf_record_look(record)->checkpoint_number;
    unsigned steps = (unsigned)prng_below(&w->prng, 3);
    for (unsigned i = 0; i < steps; i++) {
        if (worker_record_checkpoint(w, key, record, ++number, HF_MARK_NONE) != HF_OK) break;
        bool long_step = prng_below(&w->prng, 20) == 0;
        worker_pause_ms(w, prng_below(&w->prng, long_step ? 1500 : 5));
    }
    if (prng_below(&w->prng, 8) == 0)
        worker_record_abandon(w, key, record);
    else
        (void)worker_record_complete(w, key, record, false, worker_number(w));
}

static void take_turn(struct worker *w)
{
    char key[WORKLOAD_NAME_BYTES];
    struct worker_shown shown;
    hf_record *record;
    struct hf_begin how = {.takeover = HF_TAKEOVER_AUTO};
    (void)draw_key(w, key);
    how.fingerprint[0] = prng_below(&w->prng, 20) == 0 ? 2 : 1;
    if (prng_below(&w->prng, 2) == 0) how.lease_ms = LEASE_MS_MIN + prng_below(&w->prng, 1000);
    if (prng_below(&w->prng, 3) == 0) how.wait_ms = prng_below(&w->prng, 400);
    if (prng_below(&w->prng, 3) == 0) (void)worker_record_get(w, key, &shown);
    int verdict = worker_record_begin(w, key, &how, &record);
    if (verdict == HF_STARTED || verdict == HF_TAKEOVER)
        run_attempt(w, key, record);
    else
        hf_record_free(record);
    worker_pause_ms(w, 3 + prng_below(&w->prng, 12)); /* a run is checked whole: not too many */
}

static void read_all(struct worker *w)
{
    char key[WORKLOAD_NAME_BYTES];
    struct worker_shown shown;
    for (uint64_t round = 0, last = worker_rounds(w); round <= last; round++) {
        for (unsigned i = 0; i < KEYS; i++)
            (void)worker_record_get(w, worker_record_key("r", round, i, key), &shown);
    }
}

const struct workload workload_record = {
    .name = "record",
    .models = {WORKLOAD_IDEM},
    .turn = take_turn,
    .read_all = read_all,
};
