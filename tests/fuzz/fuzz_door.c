/* Bytes of a client, through the door and the replica to the machine, in virtual time: whatever
 * they are, no assertion, no fault, and every connection's memory comes back. The first byte says
 * how the rest is cut into reads, and whether HELLO was said before. State is kept from input to
 * input, so that locks and records of earlier ones are met; most inputs speak for session 1. */
#include "base/status.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/server/world.h"

enum { SEGMENT_BYTES = 64 * 1024, STEP_MS = 20, TTL_MS = 3600000 };

struct run {
    struct world world;
    struct client keeper; /* keeps session 1 alive */
};

static void open_run(struct run *run)
{
    world_open(&run->world, 1, SEGMENT_BYTES);
    client_connect(&run->keeper, &run->world);
    client_begin_session(&run->keeper, TTL_MS);
}

/* An input may have closed session 1, or taken it over: then all begins anew. */
static struct run *begin(void)
{
    static struct run run;
    struct got got = {0};
    if (run.keeper.session == 0) open_run(&run);
    bool lost = false;
    while (client_take(&run.keeper, &got)) lost = lost || got.status != HF_OK;
    if (lost) {
        client_close(&run.keeper);
        world_close(&run.world);
        open_run(&run);
    }
    client_keep(&run.keeper);
    return &run;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run *run = begin();
    struct world *w = &run->world;
    struct client c;
    if (size == 0) return 0;
    if ((data[0] & 1) != 0)
        client_connect(&c, w);
    else
        client_connect_silently(&c, w);
    size_t step = 1 + (size_t)(data[0] >> 1) * 16;
    for (size_t at = 1; at < size; at += step) {
        size_t part = size - at < step ? size - at : step;
        client_send_bytes(&c, data + at, part);
        world_settle(w);
    }
    world_sleep(w, STEP_MS);
    world_settle(w);
    (void)world_run_flush(w);
    client_close(&c);
    HF_ASSERT(w->door.in_bytes == 0);
    HF_ASSERT(w->door.by_id.count == 1);
    return 0;
}
