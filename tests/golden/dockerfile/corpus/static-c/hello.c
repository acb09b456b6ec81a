#include <stdio.h>

int main(void) {
    puts("hello " VERSION " of " __DATE__);
    return 0;
}
