/* Looks symbols up in the loaded objects (ELF gABI; GNU hash tables and symbol versions).
 *
 * dlsym would need libdl in older C libraries, which a program need not have loaded;
 * dl_iterate_phdr is in every one of them. */

#include "linker.h"
#include "system.h"

enum {
    PT_LOAD = 1,
    PT_DYNAMIC = 2,
    DT_STRTAB = 5,
    DT_SYMTAB = 6,
    DT_GNU_HASH = 0x6ffffef5,
    DT_VERSYM = 0x6ffffff0,
    VERSION_HIDDEN = 0x8000,
};

typedef struct {
    unsigned type, flags;
    unsigned long offset, address, physical, file_size, size, alignment;
} Segment;

typedef struct {
    unsigned name;
    unsigned char info, other;
    unsigned short section;
    unsigned long value, size;
} Symbol;

typedef struct {
    long tag;
    unsigned long value;
} Dynamic;

typedef struct {
    unsigned long base;
    const char *name;
    const Segment *segments;
    unsigned short count;
} Object;

typedef struct {
    const char *name;
    int passed_us;
    void *found;
} Search;

extern int dl_iterate_phdr(int (*)(const Object *, size_t, Search *), Search *) __attribute__((weak));

static int same(const char *a, const char *b) {
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static unsigned gnu_hash(const char *name) {
    unsigned hash = 5381;
    while (*name)
        hash = hash * 33 + (unsigned char)*name++;
    return hash;
}

/* The default version of a function, else any. */
static void *lookup(unsigned long base, const unsigned *table, const Symbol *symbols, const char *strings,
                    const unsigned short *versions, const char *name) {
    unsigned buckets = table[0], first = table[1], filters = table[2], hash = gnu_hash(name);
    const unsigned *bucket = table + 4 + 2 * filters, *chain = bucket + buckets;
    void *hidden = NULL;
    unsigned index = buckets ? bucket[hash % buckets] : 0;
    if (index < first)
        return NULL;
    for (;; index++) {
        unsigned entry = chain[index - first];
        const Symbol *symbol = &symbols[index];
        if ((entry | 1) == (hash | 1) && symbol->section && same(strings + symbol->name, name)) {
            void *address = (void *)(base + symbol->value);
            if (!versions || !(versions[index] & VERSION_HIDDEN))
                return address;
            hidden = address;
        }
        if (entry & 1)
            return hidden;
    }
}

static int visit(const Object *object, size_t size, Search *search) {
    (void)size;
    const Dynamic *dynamic = NULL;
    int ours = 0;
    for (unsigned i = 0; i < object->count; i++) {
        const Segment *s = &object->segments[i];
        unsigned long start = object->base + s->address, here = (unsigned long)&visit;
        if (s->type == PT_DYNAMIC)
            dynamic = (const Dynamic *)start;
        ours |= s->type == PT_LOAD && here >= start && here - start < s->size;
    }
    search->passed_us |= ours;
    if (ours || !search->passed_us || !dynamic)
        return 0;
    unsigned long strings = 0, symbols = 0, table = 0, versions = 0;
    for (; dynamic->tag; dynamic++) {
        /* glibc has made addresses of these, musl leaves them relative. */
        unsigned long value = dynamic->value < object->base ? object->base + dynamic->value : dynamic->value;
        strings = dynamic->tag == DT_STRTAB ? value : strings;
        symbols = dynamic->tag == DT_SYMTAB ? value : symbols;
        table = dynamic->tag == DT_GNU_HASH ? value : table;
        versions = dynamic->tag == DT_VERSYM ? value : versions;
    }
    if (strings && symbols && table)
        search->found = lookup(object->base, (const unsigned *)table, (const Symbol *)symbols, (const char *)strings,
                               (const unsigned short *)versions, search->name);
    return search->found != NULL;
}

void *next_symbol(void **found, const char *name) {
    void *known = __atomic_load_n(found, __ATOMIC_ACQUIRE);
    if (!known && dl_iterate_phdr) {
        Search search = {name, 0, NULL};
        dl_iterate_phdr(visit, &search);
        known = search.found;
        __atomic_store_n(found, known, __ATOMIC_RELEASE);
    }
    return known;
}
