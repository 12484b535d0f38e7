"""The Mainline DHT: membership through libtorrent, and puts of items that were signed elsewhere."""
