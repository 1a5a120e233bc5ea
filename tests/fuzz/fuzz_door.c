/* Bytes of a client, through the door and the replica to the machine, in virtual time: whatever
 * they are, no assertion, no fault, and every connection's memory comes back. The first byte says
 * how the rest is cut into reads, and whether HELLO was said before. State is kept from input to
 * input, so that sessions, locks and records of earlier ones are met. */
#include "base/status.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/server/world.h"

enum { SEGMENT_BYTES = 4 * 1024 * 1024, STEP_MS = 150 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    static bool open;
    if (!open) world_open(&world, 1, SEGMENT_BYTES);
    open = true;
    if (size == 0) return 0;

    struct client c;
    if ((data[0] & 1) != 0)
        client_connect(&c, &world);
    else
        client_connect_silently(&c, &world);
    size_t step = 1 + (size_t)(data[0] >> 1) * 16;
    for (size_t at = 1; at < size; at += step) {
        size_t part = size - at < step ? size - at : step;
        client_send_bytes(&c, data + at, part);
        world_settle(&world);
    }
    world_sleep(&world, STEP_MS);
    world_settle(&world);
    (void)world_run_flush(&world);
    client_close(&c);
    HF_ASSERT(world.door.in_bytes == 0);
    HF_ASSERT(world.door.by_id.count == 0);
    return 0;
}
