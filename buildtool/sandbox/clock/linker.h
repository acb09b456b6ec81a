/* Finding the function that one of ours stands before, without the help of a versioned dlsym. */

#ifndef LINKER_H
#define LINKER_H

/* The address of the next definition of `name` after ours, kept in `found`; NULL if there is none. */
void *next_symbol(void **found, const char *name) __attribute__((visibility("hidden")));

/* Calls the function of this name that the next library has; `missing` is what it answers if none has. */
#define NEXT(name, type, missing, ...)                                                                                 \
    do {                                                                                                               \
        static void *found;                                                                                            \
        type *next = (type *)next_symbol(&found, name);                                                                \
        return next ? next(__VA_ARGS__) : (missing);                                                                   \
    } while (0)

#endif
