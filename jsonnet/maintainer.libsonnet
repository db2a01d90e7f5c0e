// Who answers for the packages made here: their `Maintainer` (Debian Policy 5.6.2). `.invalid` says honestly that nobody
// reads mail there (RFC 2606); whoever gives packages to others sets a name and address of their own, in a definition:
//     maintainer: 'Ada Lovelace <ada@example.com>',
'Computatom packagers <packagers@computatom.invalid>'
