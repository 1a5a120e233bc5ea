/* One client asks at once for many pages that a filter leaves empty, so that each walks over
 * thousands of rows: another client's lock cycles go on meanwhile, instead of waiting for all.
 *
 *     long_reads [RECORDS [REQUESTS]]      default 5000 records, 300 requests at once */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/status.h"
#include "tests/integration/server_process.h"
#include "tests/integration/wire.h"

enum { AT_ONCE = 500, KEY_BYTES = 32, CYCLES_MIN = 2 };

static bool fill(struct wire *c, unsigned records)
{
    static uint8_t fingerprint[FINGERPRINT_BYTES];
    for (unsigned from = 0; from < records; from += AT_ONCE) {
        for (unsigned i = from; i < from + AT_ONCE; i++) {
            char key[KEY_BYTES];
            snprintf(key, sizeof key, "r/%u", i);
            struct msg_begin begin = {
                .key = slice_of(key),
                .fingerprint = slice_make(fingerprint, sizeof fingerprint),
                .lease_ms = LEASE_MS_MAX,
                .retain_ms = RETAIN_MS_DEFAULT,
            };
            struct client_envelope e = wire_envelope(c, OP_CODE_BEGIN);
            e.ack = from;
            if (!wire_request(c, OP_CODE_BEGIN, &e, &begin)) return false;
        }
        for (unsigned i = 0; i < AT_ONCE; i++)
            if (wire_receive(c, WIRE_REPLY_MS_MAX) != HF_OK || c->reply.status != HF_OK)
                return false;
    }
    c->ack = c->seq;
    return true;
}

int main(int argc, char **argv)
{
    unsigned records = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 5000;
    unsigned requests = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 300;
    struct server_process s;
    struct wire greedy, good;
    server_process_init(&s);
    HF_ASSERT(server_process_start(&s));
    HF_ASSERT(wire_open(&good, s.port) && wire_session(&good) == HF_OK);
    HF_ASSERT(wire_open(&greedy, s.port) && wire_session(&greedy) == HF_OK);
    HF_ASSERT(fill(&greedy, records));
    struct msg_record_list list = {.state = RECORD_UNKNOWN, .count_max = PAGE_ITEMS_MAX};
    struct client_envelope none = {0};
    uint64_t from = now_ms(), longest_ms = 0;
    for (unsigned i = 0; i < requests; i++)
        HF_ASSERT(wire_request(&greedy, OP_CODE_RECORD_LIST, &none, &list));
    unsigned answered = 0, cycles = 0;
    while (answered < requests) {
        uint64_t begun = now_ms(), token = 0;
        HF_ASSERT(wire_acquire(&good, "good", 1, 0, &token) == HF_OK);
        HF_ASSERT(wire_release(&good, "good", 1, token) == HF_OK);
        if (now_ms() - begun > longest_ms) longest_ms = now_ms() - begun;
        cycles++;
        while (answered < requests && wire_receive(&greedy, 0) == HF_OK) answered++;
    }
    printf("records=%u requests=%u answered_after_ms=%" PRIu64 " good_cycles=%u longest_ms=%" PRIu64
           "\n",
           records, requests, now_ms() - from, cycles, longest_ms);
    wire_close(&greedy);
    wire_close(&good);
    HF_ASSERT(server_process_stop(&s) == 0);
    server_process_close(&s, false);
    return cycles >= CYCLES_MIN ? 0 : 1;
}
