#include "jepsen/check/seen.h"

#include <stdlib.h>
#include <string.h>

#include "base/status.h"

enum { PLACES_FIRST = 1024, PLACES_KEPT = 65536 };

void seen_init(struct seen *s, size_t bytes_max)
{
    *s = (struct seen){.bytes_max = bytes_max};
}

void seen_close(struct seen *s)
{
    free(s->places);
    *s = (struct seen){0};
}

void seen_clear(struct seen *s)
{
    size_t bytes_max = s->bytes_max;
    if (s->mask >= PLACES_KEPT) {
        seen_close(s);
        s->bytes_max = bytes_max;
    } else if (s->count > 0) {
        memset(s->places, 0, (s->mask + 1) * sizeof *s->places);
    }
    s->count = 0;
}

static bool is_free(struct hash128 place)
{
    return place.high == 0 && place.low == 0;
}

static size_t find_place(const struct seen *s, struct hash128 place)
{
    size_t at = (size_t)place.low & s->mask;
    while (!is_free(s->places[at]) &&
           (s->places[at].low != place.low || s->places[at].high != place.high))
        at = (at + 1) & s->mask;
    return at;
}

static int grow(struct seen *s)
{
    struct seen old = *s;
    size_t size = old.mask == 0 ? PLACES_FIRST : (old.mask + 1) * 2;
    if (size * sizeof *s->places > s->bytes_max) return HF_ETOOLARGE;
    struct hash128 *places = calloc(size, sizeof *places);
    if (places == NULL) return HF_ENOMEM;
    s->places = places;
    s->mask = size - 1;
    for (size_t i = 0; old.mask != 0 && i <= old.mask; i++) {
        if (!is_free(old.places[i])) s->places[find_place(s, old.places[i])] = old.places[i];
    }
    free(old.places);
    return HF_OK;
}

int seen_add(struct seen *s, struct hash128 place, bool *fresh)
{
    if (is_free(place)) place.low = 1;
    if (s->mask == 0 || s->count * 2 > s->mask) {
        int rv = grow(s);
        if (rv != HF_OK) return rv;
    }
    size_t at = find_place(s, place);
    *fresh = is_free(s->places[at]);
    if (*fresh) {
        s->places[at] = place;
        s->count++;
    }
    return HF_OK;
}
