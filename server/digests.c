/* See server/digests.h. */
#include "server/digests.h"

#include "base/assert.h"
#include "base/planted.h"

static bool is_same(struct hash128 a, struct hash128 b)
{
    return a.high == b.high && a.low == b.low;
}

void digests_note(struct digests *d, uint64_t index, struct hash128 digest)
{
    HF_ASSERT(index > d->kept[d->newest].index);
    d->newest = (d->newest + 1) % DIGESTS_KEPT;
    d->kept[d->newest] = (struct digest_mark){index, digest};
}

enum digest_verdict digests_compare(const struct digests *d, uint64_t index, struct hash128 digest)
{
    for (uint32_t i = 0; index != 0 && i < DIGESTS_KEPT; i++) {
        if (d->kept[i].index != index) continue;
        return is_same(d->kept[i].digest, digest) ? DIGEST_SAME : DIGEST_OTHER;
    }
    return DIGEST_NOT_KNOWN;
}

struct digest_mark digests_offer(struct digests *d, bool *agreed)
{
    bool done = d->told || d->offers >= DIGESTS_OFFERED_MAX || d->offered.index == 0;
    if (done && d->kept[d->newest].index > d->offered.index) {
        digests_forget(d);
        d->offered = d->kept[d->newest];
    }
    d->offers += d->offers < DIGESTS_OFFERED_MAX;
    d->told = d->agreed;
    *agreed = d->agreed;
    return d->offered;
}

void digests_answer(struct digests *d, uint64_t id, uint64_t index, enum digest_verdict verdict)
{
    if (index == 0 || index != d->offered.index || verdict == DIGEST_NOT_KNOWN) return;
    for (uint32_t i = 0; i < d->count; i++) {
        if (d->answers[i].id == id) return;
    }
    if (d->count == CONFIGURATION_SERVERS_MAX) return;
    d->answers[d->count].id = id;
    d->answers[d->count].same = verdict == DIGEST_SAME;
    d->count += 1;
}

bool digests_count(struct digests *d, struct slice configuration, uint64_t self)
{
    struct configuration_server servers[CONFIGURATION_SERVERS_MAX];
    size_t count = configuration_decode(configuration, servers);
    uint32_t voters = 0, same = 0, other = 0;
    for (size_t i = 0; i < count; i++) {
        if (servers[i].role != SERVER_VOTER) continue;
        voters += 1;
        same += servers[i].id == self;
        for (uint32_t k = 0; k < d->count; k++) {
            if (d->answers[k].id != servers[i].id) continue;
            same += d->answers[k].same;
            other += !d->answers[k].same;
        }
    }
    HF_ASSERT(same + other <= voters);
    if (d->offered.index != 0 && same * 2 > voters) d->agreed = true;
    return other * 2 <= voters;
}

void digests_forget(struct digests *d)
{
    d->offered = (struct digest_mark){0};
    d->offers = 0;
    d->agreed = d->told = false;
    d->count = 0;
}
