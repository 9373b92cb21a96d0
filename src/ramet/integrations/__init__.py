"""What training functions of other libraries need besides: each file is about one of them, and imports it."""
