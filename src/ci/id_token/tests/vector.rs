//! Published keys and tokens: the key of RFC 7515 A.2, and tokens made with it by another library.

/// The RFC's private key, PKCS#1, in base64. Everybody has it.
pub(super) const PRIVATE_KEY: &str = include_str!("../../../../tests/fixture/id_token/private_key.txt");

/// The same, public, as an issuer serves it.
pub(super) const KEY_SET: &str = include_str!("../../../../tests/fixture/id_token/key_set.json");

/// A GitLab job's token.
pub(super) const GITLAB: &[&str] = &[
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IklzVW42X2UwNE1hU2hYRklJU01wNGtHNjJMV3pNSVB5X012U0E1",
    "cEpnWDgifQ.eyJuYW1lc3BhY2VfaWQiOiI3MiIsIm5hbWVzcGFjZV9wYXRoIjoibXktZ3JvdXAiLCJwcm9qZWN0X2lkIjoiM",
    "jAiLCJwcm9qZWN0X3BhdGgiOiJteS1ncm91cC9teS1wcm9qZWN0IiwidXNlcl9pZCI6IjEiLCJ1c2VyX2xvZ2luIjoic2Ftc",
    "GxlLXVzZXIiLCJ1c2VyX2VtYWlsIjoic2FtcGxlLXVzZXJAZXhhbXBsZS5jb20iLCJwaXBlbGluZV9pZCI6IjU3NCIsInBpc",
    "GVsaW5lX3NvdXJjZSI6InB1c2giLCJqb2JfaWQiOiIzMDIiLCJyZWYiOiJmZWF0dXJlLWJyYW5jaC0xIiwicmVmX3R5cGUiO",
    "iJicmFuY2giLCJyZWZfcGF0aCI6InJlZnMvaGVhZHMvZmVhdHVyZS1icmFuY2gtMSIsInJlZl9wcm90ZWN0ZWQiOiJmYWxzZ",
    "SIsInJ1bm5lcl9pZCI6MSwicnVubmVyX2Vudmlyb25tZW50Ijoic2VsZi1ob3N0ZWQiLCJzaGEiOiI3MTRhNjI5YzBiNDAxZ",
    "mRjZTgzZTg0N2ZjOTU4OTk4M2ZjNmY0NmJjIiwicHJvamVjdF92aXNpYmlsaXR5IjoicHJpdmF0ZSIsImp0aSI6IjIzNWIzY",
    "TU0LWI3OTctNDVjNy1hZTlhLWY3MmQ3YmM2ZWY1YiIsImlzcyI6Imh0dHBzOi8vZ2l0bGFiLmV4YW1wbGUuY29tIiwiaWF0I",
    "joxNjgxMzk1MTkzLCJuYmYiOjE2ODEzOTUxODgsImV4cCI6MTY4MTM5ODc5Mywic3ViIjoicHJvamVjdF9wYXRoOm15LWdyb",
    "3VwL215LXByb2plY3Q6cmVmX3R5cGU6YnJhbmNoOnJlZjpmZWF0dXJlLWJyYW5jaC0xIiwiYXVkIjoiaHR0cHM6Ly9zY20tY",
    "29ubmVjdC5leGFtcGxlLmNvbSJ9.EdiGW6_-VUuZvqqoS-zC1xZjTKwOr6fsYlaC68M0NzJaA2La2tyDeQG4qvkOZNuoaHPr",
    "12C9mZtVtbaRIIExlXkJb6uWHNBpCDwE_4eKIUXTLw0ngYejrR6NSWJgXgel9dDTDgJBakmGHieD4dAuPYg3u2bD1OVqKxcJ",
    "_Zo5g1t8iuudirEab9MCUTj9cdAReD8D_iaH_TAFjIEA-RZyEx7aQtJGd9mQHJ9ANTG0_tx4TVQYQ7LVHboZ2KJFC5_YeHP8",
    "Ov46k_gXjtKxAvDl2FOlcwlJSYnEkDIpzPwNkVMugZWgq3vYHKICjmzyGP3JjdSamnp9ZJEBGOeAmHHZ5A",
];

/// A GitHub job's token, whose subject has the immutable form.
pub(super) const GITHUB: &[&str] = &[
    "eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6IklzVW42X2UwNE1hU2hYRklJU01wNGtHNjJMV3pNSVB5X012U0E1",
    "cEpnWDgifQ.eyJqdGkiOiI2ZjQ3NjJlZC0wNzU4LTRjY2ItODA4ZC1lZTNhZjVkNzIzYTgiLCJzdWIiOiJyZXBvOm9jdG8tb",
    "3JnQDEyMzQ1Ni9vY3RvLXJlcG9ANDU2Nzg5OnJlZjpyZWZzL2hlYWRzL21haW4iLCJhdWQiOiJodHRwczovL3NjbS1jb25uZ",
    "WN0LmV4YW1wbGUuY29tIiwicmVmIjoicmVmcy9oZWFkcy9tYWluIiwicmVwb3NpdG9yeSI6Im9jdG8tb3JnL29jdG8tcmVwb",
    "yIsInJlcG9zaXRvcnlfaWQiOiI0NTY3ODkiLCJyZXBvc2l0b3J5X293bmVyIjoib2N0by1vcmciLCJyZXBvc2l0b3J5X293b",
    "mVyX2lkIjoiMTIzNDU2IiwiZXZlbnRfbmFtZSI6InB1c2giLCJydW5faWQiOiI5MDAwMDAwMDAxIiwicnVuX2F0dGVtcHQiO",
    "iIxIiwiaXNzIjoiaHR0cHM6Ly90b2tlbi5hY3Rpb25zLmdpdGh1YnVzZXJjb250ZW50LmNvbSIsIm5iZiI6MTc1NTM1MDY1M",
    "ywiZXhwIjoxNzU1MzUxNTUzLCJpYXQiOjE3NTUzNTEyNTN9.khfeNrH7Y4_uUf0-AhWT8t7H-tKX8FumStV6mwxrt_oXQR78",
    "74hjvOqNFwF9SQ8KePks1WuTBihLgVHpOWddXsI6s-KGUFJ2Vmv5Q5CEoDDNNR30i1EWZHVMHmYdQWlI94OtntJDwbiHaGSx",
    "bn-qBl8PwjWrDZKlBve4tQEIzudsS38U72GHDlKxh1YzsELHk3mlk10TIrwUOZj2Fe2ZMkNaRMHYXWMbZUu5hvRKUl3vHLMK",
    "d5kYyb-8bj-sFEY2Guyfm2eI6sjySuEMFzlFjR-s9dxcqSR_-ZoYz3tw-IBTceBJP1rYq28suf5gZk4-ATVeM53UBljtnhCy",
    "bAonZw",
];

/// The signature of an HS256 token over the claims of [`GITLAB`], whose key is the text of the public key.
pub(super) const CONFUSED: &str = "DCe06kh-ls6YgHNWrolcKGNiTbad0dY3r7fNcCRbNdk";
