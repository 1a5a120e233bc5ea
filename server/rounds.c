/* See server/rounds.h. */
#include "server/rounds.h"

#include "base/assert.h"
#include "base/planted.h"

void rounds_init(struct rounds *r, uint64_t first)
{
    *r = (struct rounds){.number = first >> 1}; /* far from the end of the numbers */
    r->wanted = r->confirmed = r->number;
}

uint64_t rounds_join(struct rounds *r)
{
    if (r->under_way && planted(ROUND_TAKES_LATE_READS)) return r->number;
    r->wanted = r->number + 1;
    return r->wanted;
}

bool rounds_begin(struct rounds *r)
{
    HF_ASSERT(r->wanted <= r->number + 1);
    HF_ASSERT(r->confirmed <= r->number);
    if (r->under_way || r->wanted <= r->number) return false;
    r->number += 1;
    r->under_way = true;
    r->count = 0;
    return true;
}

void rounds_answer(struct rounds *r, uint64_t id, uint64_t number)
{
    if (!r->under_way || number != r->number) return;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->answered[i] == id) return;
    }
    if (r->count < CONFIGURATION_SERVERS_MAX) r->answered[r->count++] = id;
}

static bool has_answered(const struct rounds *r, uint64_t id)
{
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->answered[i] == id) return true;
    }
    return false;
}

void rounds_count(struct rounds *r, struct slice configuration, uint64_t self)
{
    if (!r->under_way) return;
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = configuration_decode(configuration, servers);
    uint32_t voters = 0;
    uint32_t yes = 0;
    for (size_t i = 0; i < count; i++) {
        if (servers[i].role != SERVER_VOTER && !planted(ROUND_COUNTS_ALL)) continue;
        voters += 1;
        yes += servers[i].id == self || has_answered(r, servers[i].id);
    }
    HF_ASSERT(yes <= voters);
    if (yes * 2 <= voters) return;
    r->confirmed = r->number;
    r->under_way = false;
}

void rounds_forget(struct rounds *r)
{
    r->under_way = false;
    r->count = 0;
    r->number += 1; /* late answers are to another one */
    r->wanted = r->number;
}
