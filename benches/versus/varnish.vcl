# Varnish under measurement: everything is kept for an hour, compressed where clients ask for that
# (it unpacks for those who do not, which is slow, so other rows keep it plain).
vcl 4.1;

backend upstream {
    .host = "127.0.0.1";
    .port = "@UPSTREAM@";
}

sub vcl_backend_response {
    set beresp.ttl = 1h;
    set beresp.do_gzip = @GZIP@;
}
