/* SPDX-License-Identifier: Apache-2.0 */
/* empty: what starting and ending a process costs. */
int main(void)
{
    return 0;
}
