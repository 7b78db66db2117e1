# Varnish under measurement: everything is kept for an hour, compressed if that is worth it.
vcl 4.1;

backend upstream {
    .host = "127.0.0.1";
    .port = "@UPSTREAM@";
}

sub vcl_backend_response {
    set beresp.ttl = 1h;
    if (beresp.http.Content-Type ~ "json") {
        set beresp.do_gzip = true;
    }
}
