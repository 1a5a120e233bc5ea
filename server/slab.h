/* Objects of one size, given out and taken back without the allocator once their number has been
 * reached before: what the replica and the door hold for each request. Bounded; memory goes back
 * to the system only with the whole slab. */
#ifndef SERVER_SLAB_H
#define SERVER_SLAB_H

#include <stddef.h>

#include "base/list.h"

struct slab {
    struct list chunks;  /**< owned memory; grows and is freed with the slab */
    void *free;          /**< first free object; each begins with a pointer to the next */
    size_t object_bytes; /**< bytes of one, rounded up to 16 */
    size_t used;         /**< objects given out */
    size_t used_max;     /**< never more than this */
};

/** Make an empty slab. \param used_max the most objects that may be out at once. */
void slab_init(struct slab *s, size_t object_bytes, size_t used_max);

/** Free everything, objects that are out too. A zeroed one is accepted. */
void slab_close(struct slab *s);

/** A zeroed object; NULL if `used_max` are out or memory is. */
void *slab_take(struct slab *s);

/** Give an object back. */
void slab_give(struct slab *s, void *object);

#endif
