# A web page from a board: `nomad job run jobs/hello.nomad.hcl`, then look at
# `nomad service info hello` or http://hello.service.consul:PORT through Consul's DNS.
job "hello" {
  group "web" {
    network {
      port "http" {}
    }

    service {
      name     = "hello"
      port     = "http"
      provider = "consul"

      check {
        type     = "http"
        path     = "/"
        interval = "5s"
        timeout  = "2s"
      }
    }

    task "httpd" {
      driver = "exec"

      config {
        # busybox is part of the small root that the cluster gives to exec tasks.
        command = "/bin/busybox"
        args    = ["httpd", "-f", "-p", "${NOMAD_PORT_http}", "-h", "${NOMAD_TASK_DIR}"]
      }

      template {
        destination = "local/index.html"
        data        = <<-HTML
          <!doctype html>
          <title>hello</title>
          <p>hello from {{ env "node.unique.name" }}
        HTML
      }

      resources {
        cpu    = 50
        memory = 32
      }
    }
  }
}
