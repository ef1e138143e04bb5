"""What the server sends out by itself: HTTP to addresses that users chose, kept within bounds."""
