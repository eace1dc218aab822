/* The first program: what it prints is all it does. */
#include <stdio.h>

int main(void)
{
    printf("Hello from inside the machine.\n");
    return 0;
}
